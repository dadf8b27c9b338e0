"""The units: systemd understands every line, services are shut in, and what they name exists. Nothing is started here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from trialogue_server.config import SETTINGS, Config

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix != ".conf")
SERVICES = [path for path in UNITS if path.suffix == ".service"]
#: Exposure, in tenths, as `systemd-analyze security` counts it.
MOST = 20

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")


@analyze
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    """It says what it does not understand, and exits with 0."""
    for path in UNITS:
        text = path.read_text()
        # What is installed elsewhere: the program, and the account.
        text = re.sub(r"/opt/trialogue/(current|next)/bin/\w+", "/bin/true", text)
        (tmp_path / path.name).write_text(re.sub(r"^(User|Group)=trialogue$", r"\1=daemon", text, flags=re.MULTILINE))
    (tmp_path / "trialogue@1.service").write_text((tmp_path / "trialogue@.service").read_text())
    names = [path.name for path in UNITS if "@" not in path.name]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(str(tmp_path / name) for name in names)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "trialogue" in line]
    assert said == []


@analyze
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_service_is_shut_in(path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def read(path: Path) -> dict[str, dict[str, list[str]]]:
    """Sections and keys, each with all its values, in order."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", ["trialogue.service", "trialogue@.service"])
def test_service_is_left_the_time_it_takes(name: str) -> None:
    service = read(DEPLOY / "systemd" / name)["Service"]
    assert int(service["TimeoutStopSec"][0]) >= Config().shutdown_grace_seconds + 10
    assert service["ExecReload"] == ["/bin/sh -c 'kill -HUP $MAINPID'"]
    assert service["NotifyAccess"] == ["main"]
    assert float(service["WatchdogSec"][0]) >= 30


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_variables_of_a_service_are_settings(path: Path) -> None:
    variables = re.findall(r"\b(TRIALOGUE_\w+)=", path.read_text())
    assert variables
    assert set(variables) <= {one.variable for one in SETTINGS} | {"TRIALOGUE_CONFIG"}


def test_services_are_shut_in_alike() -> None:
    """What is forbidden one of them is forbidden all."""

    def bounds(path: Path) -> str:
        return path.read_text().partition("# It needs the network")[2].partition("[Install]")[0].strip()

    assert len({bounds(path) for path in SERVICES}) == 1
