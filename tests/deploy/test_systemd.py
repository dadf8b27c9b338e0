"""The service on a booted machine with a real systemd: ``make test-systemd``. What is checked there stands in ``inside``."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MACHINE = os.environ.get("TRIALOGUE_TEST_MACHINE")
CHECKS = [check.__name__ for check in runpy.run_path(str(HERE / "inside.py"))["CHECKS"]]

pytestmark = pytest.mark.skipif(MACHINE is None, reason="boots a machine, for minutes and as root: make test-systemd")

UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -u /src/tests/deploy/inside.py
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=20min
[Install]
WantedBy=default.target
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What came of each check, by its name."""
    assert MACHINE is not None
    root = tmp_path_factory.mktemp("machine") / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", f"{MACHINE}/root", str(root)], check=True)
    try:
        boot(root, Path(MACHINE) / "wheels")
        print((root / "notes.txt").read_text())
        found: dict[str, str] = json.loads((root / "results.json").read_text())
        yield found
    finally:
        shutil.rmtree(root)


def boot(root: Path, wheels: Path) -> None:
    """Boot a machine that runs the checks, and return when it has powered off."""
    source = root / "src"
    source.mkdir()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    (root / "etc/systemd/system/checks.service").write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "checks.service").symlink_to("/etc/systemd/system/checks.service")
    subprocess.run(
        [
            *("systemd-nspawn", "--directory", str(root), "--boot", "--register=no", "--keep-unit", "--quiet"),
            *(
                f"--machine=trialogue-{os.getpid()}",
                "--private-network",
                f"--bind-ro={wheels}:/wheels",
                "--console=pipe",
            ),
        ],
        check=False,
        timeout=1500,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("check", CHECKS)
def test_on_a_real_machine(results: dict[str, str], check: str) -> None:
    assert results.get(check, "it was not come to") == "ok", results.get(check)
