"""The service on a real NFS share, in a virtual machine: ``make test-nfs``. The checks are in ``checks``."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from nfs.checks import CHECKS

HERE = Path(__file__).parent
TREE = os.environ.get("TRIALOGUE_TEST_NFS")

pytestmark = pytest.mark.skipif(TREE is None, reason="emulates a machine, for many minutes and as root: make test-nfs")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of each check, by its name."""
    assert TREE is not None
    folder = tmp_path_factory.mktemp("nfs")
    with tarfile.open(folder / "checks.tar", "w") as tar:
        for path in HERE.glob("*.py"):
            tar.add(path, f"nfs/{path.name}")
    _boot(Path(TREE), folder)
    found: dict[str, str] = {}
    for line in (folder / "results").read_text(errors="replace").splitlines():
        said = json.loads(line)
        print(f"{said['name']}: {said['seconds']} s; {said['notes']}")
        found[said["name"]] = said["result"]
    return found


def _boot(tree: Path, folder: Path) -> None:
    """Boot a machine that runs the checks, and return when it has switched itself off."""
    drive = "if=virtio,format=raw"
    words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "2048", "-smp", "1"]
    # Its clock goes with what it has done, and not with ours: a host that is busy makes nothing in there run out of time.
    words += ["-icount", "shift=1"]
    words += ["-nographic", "-no-reboot", "-nic", "none", "-monitor", "none"]
    words += ["-kernel", f"{tree}/vmlinuz", "-initrd", f"{tree}/initrd.img"]
    words += ["-append", "root=/dev/vda rw console=ttyS0 quiet"]
    words += ["-drive", f"file={tree}/disk.img,snapshot=on,{drive}"]
    words += ["-drive", f"file={folder}/checks.tar,readonly=on,{drive}"]
    words += ["-serial", f"file:{folder}/console", "-serial", f"file:{folder}/results"]
    with suppress(subprocess.TimeoutExpired):  # What was come to is told all the same.
        subprocess.run(words, check=True, timeout=7200, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("check", [check.__name__ for check in CHECKS])
def test_on_a_share(results: dict[str, str], check: str) -> None:
    assert results.get(check, "it was not come to") == "ok", results.get(check)
