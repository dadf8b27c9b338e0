# Run, test and check Trialogue. Each target sets up what it needs; a clone and Python 3.11 or newer are enough.
#
# `.venv` holds pinned, hash-checked packages and this one, editable. A stamp in it says which set is installed:
# a second call costs nothing, a changed pin file or pyproject.toml installs again.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# pyright looks for a newer version of itself on the network otherwise.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help run no-such-store test simulate chaos test-postgres17 test-systemd test-bundle test-nfs fuzz check lint format-check mypy pyright public-types bench bundle lock clean

help:  ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'

# STORE=postgres serves on a PostgreSQL and a Redis of its own, in the data folder, for who wants to see it on them.
STORE ?= sqlite
serve_sqlite := $(BIN)/trialogue serve
serve_postgres := $(BIN)/python deploy/with_services.py
needs_sqlite := .venv/run.stamp
needs_postgres := .venv/embedded.stamp

run: $(or $(needs_$(STORE)),no-such-store)  ## serve on http://127.0.0.1:4512; ARGS="--port 8080" goes to `trialogue serve`; STORE=postgres
	$(serve_$(STORE)) $(ARGS)

no-such-store:
	@echo "STORE is sqlite or postgres, and not $(STORE)." >&2; exit 2

# One worker more than there are cores: many tests wait for disks and processes. WORKERS=0 runs them in this process.
WORKERS ?= $(shell expr $$(nproc) + 1)

test: .venv/dev.stamp .venv/node.stamp  ## run the tests; ARGS goes to pytest
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

SEEDS ?= 1000

simulate: .venv/dev.stamp  ## many worlds of one node and of several, each from its seed: SEEDS=15000, or SEEDS=4711:4712 for one again
	TRIALOGUE_SEEDS=$(SEEDS) $(BIN)/python -m pytest tests/simulation/test_simulation.py tests/simulation/test_cluster_simulation.py -k every_seed $(ARGS)

test-postgres17: .venv/dev.stamp  ## run PostgreSQL's tests on Debian's 17 with pgvector and PostGIS; TREE is where it is kept
	PYTHON=$(BIN)/python tests/postgres17 $(ARGS)

test-systemd: .venv/dev.stamp  ## boot a machine with systemd, as root, and ill-treat the service there; TREE is where its parts are kept
	PYTHON=$(BIN)/python tests/deploy/systemd $(ARGS)

test-bundle: .venv/dev.stamp  ## install the bundle on bare machines without a network, as root; TREE is where their parts are kept
	$(BIN)/python deploy/make_bundle.py $(ARCH)
	ARCH=$(ARCH) PYTHON=$(BIN)/python tests/deploy/bundle $(ARGS)

test-nfs: .venv/dev.stamp  ## keep files on a real NFS share, in an emulated machine, as root; TREE is where its parts are kept
	$(BIN)/python deploy/make_bundle.py amd64
	PYTHON=$(BIN)/python tests/nfs/machine $(ARGS)

fuzz: .venv/dev.stamp  ## ask a server what its API's document allows and what not; ARGS goes to Schemathesis
	$(BIN)/python tests/fuzzing.py --max-examples=200 $(ARGS)

check: lint format-check mypy pyright public-types  ## lint, formatting and types; `make -k check` goes on after a failure

lint: .venv/dev.stamp
	$(BIN)/ruff check

format-check: .venv/dev.stamp
	$(BIN)/ruff format --check

mypy: .venv/dev.stamp
	$(BIN)/mypy

pyright: .venv/dev.stamp
	$(BIN)/pyright

# Exits 1 unless every public name of the core has a known type. It looks for the package where the PATH's Python does.
public-types: .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes trialogue --ignoreexternal

chaos: .venv/dev.stamp  ## break nodes, PostgreSQL, Redis and the network a thousand times; ARGS="--faults 100 --seed 7"
	PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

bench: .venv/dev.stamp  ## run the benchmarks; ARGS goes to bench/run
	PATH="$(CURDIR)/$(BIN):$$PATH" bench/run $(ARGS)

# Any machine makes the bundle of any architecture.
ARCH ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
bundle: .venv/run.stamp  ## everything that an installation without a network needs, into dist; ARCH=amd64 or arm64
	$(BIN)/python deploy/make_bundle.py $(ARCH)

lock:  ## write the pin files anew; ARGS="--upgrade" for newer versions
	requirements/lock $(ARGS)

clean:  ## remove the environment and what tools left behind; data stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

# The pip is the proof of a complete environment: where Debian lacks python3-venv, a python appears without one.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Trialogue needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	$(PYTHON) -m venv .venv

# No isolation: the build backend is one of the pinned packages, so nothing comes in unpinned.
.venv/%.stamp: requirements/%.txt pyproject.toml | $(BIN)/pip
	$(PIP) install --quiet --require-hashes --no-deps -r $<
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
	@if [ $* = dev ]; then touch .venv/run.stamp .venv/embedded.stamp; fi  # dev.txt holds all of the others

# What only the tests need, from another registry: pinned with hashes as well.
.venv/node.stamp: tests/node/package-lock.json .venv/dev.stamp
	tests/node/npm ci
	@touch $@
