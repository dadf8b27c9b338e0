"""The bundle on booted machines without a network: ``make test-bundle``. The checks are in ``inside_bundle``."""

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
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")

pytestmark = pytest.mark.skipif(TREE is None, reason="boots machines, for minutes and as root: make test-bundle")

UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=PYTHONPATH=/checks
ExecStart=/usr/bin/python3 -u -m deploy.inside_bundle
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=15min
"""


@cache
def results(suite: str) -> dict[str, str]:
    """What came of each check on that Debian, by its name."""
    root = Path(mkdtemp(prefix="trialogue-machine-", dir=TREE)) / "root"
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", f"{TREE}/{suite}", str(root)], check=True)
        _boot(root)
        print((root / "notes.txt").read_text())
        found: dict[str, str] = json.loads((root / "results.json").read_text())
        return found
    finally:
        shutil.rmtree(root.parent)


def _boot(root: Path) -> None:
    """Boot a machine that runs the checks, and return when it has powered off."""
    (root / "checks/deploy").mkdir(parents=True)
    for name in ("inside.py", "inside_bundle.py"):
        shutil.copy(HERE / name, root / "checks/deploy" / name)
    (archive,) = (HERE.parents[1] / "dist").glob(f"trialogue-*-linux-{ARCH}.tar")
    (root / "etc/systemd/system/checks.service").write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "checks.service").symlink_to("/etc/systemd/system/checks.service")
    words = ["systemd-nspawn", "--directory", str(root), "--boot", "--register=no", "--keep-unit", "--quiet"]
    words += [f"--machine=trialogue-{os.getpid()}", "--private-network", "--console=pipe"]
    words += [f"--bind-ro={archive}:/bundle.tar"]
    subprocess.run(words, check=False, timeout=1200, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@pytest.mark.parametrize("check", [check.__name__ for check in CHECKS])
def test_on_a_bare_machine(suite: str, check: str) -> None:
    assert results(suite).get(check, "it was not come to") == "ok", results(suite).get(check)
