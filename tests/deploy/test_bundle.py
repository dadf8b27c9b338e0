"""A bundle: which pins are in it, and that one which was damaged, or is for another machine, changes nothing.

No wheel is fetched here; that a bundle installs is tried in ``test_bundled_machine``.
"""

from __future__ import annotations

import hashlib
import json
import platform
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deploy.machine import Machine

ROOT = Path(__file__).parents[2]
MAKE = runpy.run_path(str(ROOT / "deploy/make_bundle.py"))
HERE = {
    "version": "2",
    "arch": "amd64",
    "machine": platform.machine(),
    "pythons": ["{}.{}".format(*sys.version_info)],
    "glibc": "2.17",
}
OWN_WHEEL = "wheels/trialogue-2-py3-none-any.whl"


def seal(folder: Path, manifest: dict[str, Any]) -> None:  # Any: as JSON has it.
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    sums = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.relative_to(folder)}\n" for one in files]
    (folder / "SHA256SUMS").write_text("".join(sums))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for this machine, whose wheels are none."""
    folder = tmp_path / "bundle"
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (OWN_WHEEL, "wheels/a-1-py3-none-any.whl", "requirements/run.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    seal(folder, HERE)
    return folder


@pytest.fixture
def machine(tmp_path: Path, bundle: Path) -> Machine:
    """One on which version 1 serves, and the bundle is."""
    machine = Machine(tmp_path)
    machine.done("install", "1")
    machine.source = bundle
    return machine


def test_bundle_is_taken_for_an_upgrade(machine: Machine) -> None:
    machine.done("upgrade")
    assert (machine.serves, machine.current) == ("2", "2")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a wheel changed": (lambda folder: (folder / OWN_WHEEL).write_text("x"), f"{OWN_WHEEL} is not as it was packed"),
    "a wheel missing": (lambda folder: (folder / OWN_WHEEL).unlink(), f"{OWN_WHEEL} is missing"),
    "a wheel too many": (lambda folder: (folder / "wheels/b.whl").touch(), "wheels/b.whl does not belong"),
    "pins changed": (
        lambda folder: (folder / "requirements/run.txt").write_text("x"),
        "run.txt is not as it was packed",
    ),
    "a unit changed": (
        lambda folder: (folder / "deploy/systemd/trialogue.service").write_text("x"),
        "trialogue.service is",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "does not say its version"),
    "half a manifest": (
        lambda folder: (folder / "manifest.json").write_text('{\n  "version": "2",\n'),
        "manifest.json is not as it was packed",
    ),
    "no checksums": (lambda folder: (folder / "SHA256SUMS").unlink(), "cannot be read"),
    "empty checksums": (lambda folder: (folder / "SHA256SUMS").write_text(""), "SHA256SUMS is cut off"),
    "checksums that are none": (lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff\n"), "cannot be read"),
    "nothing but scripts": (
        lambda folder: [(folder / one).rename(folder / f"no-{one}") for one in ("SHA256SUMS", "manifest.json")],
        "version",
    ),
    "another processor": (
        lambda folder: seal(folder, HERE | {"arch": "riscv64", "machine": "riscv64"}),
        f"is for riscv64 (riscv64), and this machine is {platform.machine()}",
    ),
    "another Python": (lambda folder: seal(folder, HERE | {"pythons": ["3.8", "3.9"]}), "serves Python 3.8, 3.9"),
    "a newer C library": (lambda folder: seal(folder, HERE | {"glibc": "2.999"}), "needs glibc 2.999"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_bundle_that_does_not_fit_changes_nothing(machine: Machine, bundle: Path, damage: str) -> None:
    change, words = DAMAGES[damage]
    change(bundle)
    said = machine.refused("upgrade")
    assert words in said
    assert "nothing was changed" in said
    assert "Traceback" not in said
    assert (machine.serves, machine.current) == ("1", "1")
    assert [
        one.name for one in (machine.root / "opt/trialogue").iterdir() if one.is_dir() and not one.is_symlink()
    ] == ["1"]


def test_every_problem_is_told_at_once(machine: Machine, bundle: Path) -> None:
    (bundle / OWN_WHEEL).unlink()
    (bundle / "wheels/a-1-py3-none-any.whl").write_text("x")
    said = machine.refused("upgrade")
    assert "is missing" in said
    assert "is not as it was packed" in said


PINS = """\
# made by hand
both==1 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
old==2 ; python_full_version < '3.12' \\
    --hash=sha256:ba
new==3 ; python_full_version >= '3.12' \\
    --hash=sha256:ca
windows==4 ; sys_platform == 'win32' \\
    --hash=sha256:da
arm==5 ; platform_machine == 'aarch64' \\
    --hash=sha256:ea
"""


@pytest.mark.parametrize(
    ("machine", "python", "names"),
    [("x86_64", "3.11", "both old"), ("x86_64", "3.12", "both new"), ("aarch64", "3.13", "both new arm")],
)
def test_pins_are_those_of_the_machine_that_is_made_for(machine: str, python: str, names: str) -> None:
    found = list(MAKE["pins"](PINS, machine, python))
    assert [line.partition("==")[0] for line in found] == names.split()
    assert found[0] == "both==1 --hash=sha256:aa --hash=sha256:ab"


def test_an_architecture_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert MAKE["main"](["mips"]) == 2
    assert "amd64, arm64" in capsys.readouterr().err


# --- signatures ------------------------------------------------------------------------------------------------------

ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")


def new_key(folder: Path, name: str) -> Path:
    """A private key, without a password; its other half is beside it."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    return key


@pytest.fixture
def signed(machine: Machine, bundle: Path, tmp_path: Path) -> Machine:
    """One that believes one maker, with a bundle by that one."""
    key = new_key(tmp_path, "maker")
    MAKE["sign"](bundle / "SHA256SUMS", str(key))
    (machine.root / "etc/trialogue/bundle_signers").write_text(f"maker {key.with_suffix('.pub').read_text()}")
    return machine


@ssh
def test_bundle_of_a_maker_who_is_believed_is_taken(signed: Machine) -> None:
    signed.done("upgrade")
    assert (signed.serves, signed.current) == ("2", "2")


def _by_another(folder: Path) -> None:
    MAKE["sign"](folder / "SHA256SUMS", str(new_key(folder.parent, "forger")))


def _for_something_else(folder: Path) -> None:
    (folder / "SHA256SUMS.sig").unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(folder.parent / "maker")]
    subprocess.run([*words, str(folder / "SHA256SUMS")], check=True)


def _no_bundle(folder: Path) -> None:
    for name in ("SHA256SUMS", "manifest.json"):
        (folder / name).unlink()
    (folder / "pyproject.toml").write_text('version = "2"\n')


FORGERIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no signature": (lambda folder: (folder / "SHA256SUMS.sig").unlink(), "is not signed, and"),
    "an empty signature": (lambda folder: (folder / "SHA256SUMS.sig").write_bytes(b""), "not signed by one of"),
    "a broken signature": (
        lambda folder: (folder / "SHA256SUMS.sig").write_bytes(b"\xff" * 300),
        "not signed by one of",
    ),
    "checksums made anew": (lambda folder: seal(folder, HERE | {"commit": "mine"}), "not signed by one of"),
    "signed by another": (_by_another, "not signed by one of"),
    "signed for something else": (_for_something_else, "not signed by one of"),
    "a wheel changed": (lambda folder: (folder / OWN_WHEEL).write_text("x"), f"{OWN_WHEEL} is not as it was packed"),
    "no bundle any more": (_no_bundle, "this is no bundle"),
}


@ssh
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_bundle_changes_nothing(signed: Machine, bundle: Path, forgery: str) -> None:
    forge, words = FORGERIES[forgery]
    forge(bundle)
    said = signed.refused("upgrade")
    assert words in said
    assert "Traceback" not in said
    assert (signed.serves, signed.current) == ("1", "1")
