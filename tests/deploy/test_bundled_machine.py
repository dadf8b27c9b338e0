"""The bundle on booted machines without a network: ``make test-bundle``. The checks are in ``inside_bundle``.

``make test-bundle ARCH=arm64`` does the same for another processor, which is emulated program by program. That takes long,
and systemd does not run that way: the machine is entered instead of booted, and ``stand_in`` starts the service.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from deploy.inside_bundle import CHECKS

HERE = Path(__file__).parent
TREE = os.environ.get("TRIALOGUE_TEST_BUNDLE_TREE")
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
ARCH = os.environ.get("TRIALOGUE_TEST_BUNDLE_ARCH", NATIVE)
#: The trees of `bundle`.
SUITES = ["bookworm", "trixie"] if ARCH == NATIVE else [f"trixie-{ARCH}"]
#: By how much an emulated processor stretches all patience.
SLOWER = 1 if ARCH == NATIVE else 10

pytestmark = pytest.mark.skipif(TREE is None, reason="boots machines, for minutes and as root: make test-bundle")

UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=PYTHONPATH=/checks SLOWER={slower}
ExecStart=/usr/bin/python3 -u -m deploy.inside_bundle
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec={minutes}min
"""


@cache
def results(suite: str) -> dict[str, str]:
    """What came of each check on that Debian, by its name."""
    root = Path(mkdtemp(prefix="trialogue-machine-", dir=TREE)) / "root"
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", f"{TREE}/{suite}", str(root)], check=True)
        (_boot if ARCH == NATIVE else _enter)(root)
        print((root / "notes.txt").read_text())
        found: dict[str, str] = json.loads((root / "results.json").read_text())
        return found
    finally:
        shutil.rmtree(root.parent)


def _boot(root: Path) -> None:
    """Boot a machine that runs the checks, and return when it has powered off."""
    (root / "etc/systemd/system/checks.service").write_text(UNIT.format(slower=SLOWER, minutes=15 * SLOWER))
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "checks.service").symlink_to("/etc/systemd/system/checks.service")
    _nspawn(root, "--boot")


def _enter(root: Path) -> None:
    """Run the checks in a machine that is not booted."""
    shutil.copy(HERE / "stand_in", root / "usr/local/bin/systemctl")
    # Compiling 8,000 modules is most of an installation, and would take an emulated processor half an hour each time.
    (root / "etc/pip.conf").write_text("[install]\ncompile = no\n")
    environment = ["--setenv=PYTHONPATH=/checks", f"--setenv=SLOWER={SLOWER}"]
    _nspawn(root, "--as-pid2", *environment, "/usr/bin/python3", "-u", "-m", "deploy.unbooted")


def _nspawn(root: Path, *more: str) -> None:
    (root / "checks/deploy").mkdir(parents=True)
    for name in ("inside.py", "inside_bundle.py", "unbooted.py"):
        shutil.copy(HERE / name, root / "checks/deploy" / name)
    (archive,) = (HERE.parents[1] / "dist").glob(f"trialogue-*-linux-{ARCH}.tar")
    words = ["systemd-nspawn", "--directory", str(root), "--register=no", "--keep-unit", "--quiet"]
    words += [f"--machine=trialogue-{os.getpid()}", "--private-network", "--console=pipe"]
    words += [f"--bind-ro={archive}:/bundle.tar", *more]
    subprocess.run(words, check=False, timeout=1200 * SLOWER, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("check", [check.__name__ for check in CHECKS])
def test_on_a_bare_machine(suite: str, check: str) -> None:
    assert results(suite).get(check, "it was not come to") == "ok", results(suite).get(check)
