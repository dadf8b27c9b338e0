"""Installing, upgrading, going back and removing: twice does no harm, and killed anywhere, what served goes on serving.

The scripts run for real, on a folder in the place of the machine's root. Python, pip and systemctl are stand-ins: what they
do on a real machine is tried in ``test_systemd``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Commands by which a script changes something.
CHANGING = ("cp", "mv", "ln", "rm", "mkdir", "touch", "chmod", "sync", "systemctl", "python")

PYTHON = """\
#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *"install"*"--no-build-isolation"*)
    [ ! -e "$STATE/no-build" ] || exit 1
    printf '#!/bin/sh\\necho trialogue\\n' > "${0%/*}/trialogue"; chmod +x "${0%/*}/trialogue" ;;
esac
"""
#: Its state: the pid and the version of what serves, and what it says. A version named `bad...` never takes over.
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "$STATE/calls"
current=$(basename "$(readlink "$ROOT/opt/trialogue/current")")
start() { echo $(($(cat "$STATE/pid" 2> /dev/null || echo 100) + 1)) > "$STATE/pid"; echo "$current" > "$STATE/serves"; }
case "$1" in
  list-units) [ ! -e "$STATE/serves" ] || echo "trialogue.service loaded active running x" ;;
  enable) [ -e "$STATE/serves" ] || start ;;
  disable) rm -f "$STATE/serves" ;;
  reload) case $current in bad*) echo "serving; it failed" > "$STATE/status" ;; *) rm -f "$STATE/status"; start ;; esac ;;
  show) case "$4" in
    MainPID) cat "$STATE/pid" ;;
    StatusText) cat "$STATE/status" 2> /dev/null || echo ok ;;
    ActiveState) [ -e "$STATE/serves" ] && echo active || echo inactive ;;
  esac ;;
esac
"""
#: Ends with a `kill -9` whoever would make the N-th change: the script, or what builds a version.
FATAL = """\
#!/bin/sh
count=$(($(cat "$STATE/count" 2> /dev/null || echo 0) + 1))
echo $count > "$STATE/count"
[ "$count" != "$KILL_AT" ] || { kill -9 $PPID; exit 1; }
exec REAL "$@"
"""


class Machine:
    """A root of its own, with a checkout and stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.state = folder / "state"
        self._tools = folder / "tools"
        self._fatal = folder / "fatal"
        for one in (self.root, self.state, self._tools, self._fatal):
            one.mkdir()
        self._write(self._tools / "systemctl", SYSTEMCTL)
        self._write(self._tools / "python", PYTHON)
        self._write(self._tools / "sleep", "#!/bin/sh\n")
        for name in CHANGING:
            real = self._tools / name if (self._tools / name).exists() else shutil.which(name)
            self._write(self._fatal / name, FATAL.replace("REAL", str(real)))

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        (self.state / "count").unlink(missing_ok=True)
        path = f"{self._fatal}:{self._tools}:" if kill_at else f"{self._tools}:"
        python = (self._fatal if kill_at else self._tools) / "python"
        environment = {
            **os.environ,
            "PATH": path + os.environ["PATH"],
            "ROOT": str(self.root),
            "STATE": str(self.state),
            "PYTHON": str(python),
            "KILL_AT": str(kill_at),
            "PATIENCE": "5",
        }
        command = ["sh", str(ROOT / "deploy" / script), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def done(self, script: str, *arguments: str) -> str:
        """Run it; what it said. It must succeed."""
        ended = self.run(script, *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def refused(self, script: str, *arguments: str) -> str:
        """Run it; the reason it gave for doing nothing."""
        ended = self.run(script, *arguments)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        return ended.stderr

    @property
    def serves(self) -> str | None:
        """The version that serves now."""
        path = self.state / "serves"
        return path.read_text().strip() if path.exists() else None

    @property
    def current(self) -> str:
        """The version that would serve after a restart; it is complete."""
        link = self.root / "opt/trialogue/current"
        assert (link / ".complete").exists()
        assert os.access(link / "bin/trialogue", os.X_OK)
        return str(link.readlink())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_install_twice(machine: Machine) -> None:
    machine.done("install", "1")
    settings = machine.root / "etc/trialogue/trialogue.toml"
    settings.write_text("port = 80\n")
    assert "in place" in machine.done("install", "1")
    assert settings.read_text() == "port = 80\n"
    assert (machine.serves, machine.current) == ("1", "1")
    assert (machine.root / "etc/trialogue/credentials").stat().st_mode & 0o777 == 0o700
    assert (machine.root / "etc/systemd/system/trialogue.service").exists()


def test_upgrade_and_back(machine: Machine) -> None:
    machine.done("install", "1")
    machine.done("upgrade", "2")
    assert (machine.serves, machine.current) == ("2", "2")
    machine.done("upgrade", "2")
    machine.done("rollback")
    assert (machine.serves, machine.current) == ("1", "1")
    machine.done("rollback")
    assert (machine.serves, machine.current) == ("2", "2")
    machine.done("upgrade", "3")
    assert sorted(one.name for one in (machine.root / "opt/trialogue").glob("[0-9]*")) == ["2", "3"]


def test_version_that_does_not_serve_leaves_the_one_before(machine: Machine) -> None:
    machine.done("install", "1")
    assert "journalctl" in machine.refused("upgrade", "bad")
    assert (machine.serves, machine.current) == ("1", "1")
    machine.done("upgrade", "2")
    assert machine.serves == "2"


def test_version_that_cannot_be_built_changes_nothing(machine: Machine) -> None:
    machine.done("install", "1")
    (machine.state / "no-build").touch()
    assert "nothing was changed" in machine.refused("upgrade", "2")
    assert (machine.serves, machine.current) == ("1", "1")


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("upgrade", (), "deploy/install"),
        ("rollback", (), "no version before"),
        ("rollback", ("9",), "no version 9"),
    ],
)
def test_what_cannot_be_is_said(machine: Machine, script: str, arguments: tuple[str, ...], words: str) -> None:
    assert words in machine.refused(script, *arguments)


def test_installing_another_version_is_an_upgrade(machine: Machine) -> None:
    machine.done("install", "1")
    assert "deploy/upgrade" in machine.refused("install", "2")


def test_uninstall_keeps_data_unless_told(machine: Machine) -> None:
    data = machine.root / "var/lib/trialogue"
    machine.done("install", "1")
    data.mkdir(parents=True)
    machine.done("uninstall")
    assert machine.serves is None
    assert data.exists()
    assert (machine.root / "etc/trialogue/trialogue.toml").exists()
    assert not (machine.root / "opt/trialogue").exists()
    assert list((machine.root / "etc/systemd/system").iterdir()) == []
    machine.done("install", "1")
    machine.done("uninstall", "--purge", "yes")
    machine.done("uninstall", "--purge", "yes")
    assert not data.exists()
    assert not (machine.root / "etc/trialogue").exists()


def killed_everywhere(machine: Machine, script: str, *arguments: str) -> Iterator[int]:
    """Run it again and again, it or what it runs killed one change later each time, until it comes to its end."""
    for change in range(1, 300):
        ended = machine.run(script, *arguments, kill_at=change)
        if ended.returncode == 0:
            assert change > 10
            return
        yield change
    raise AssertionError("it never came to its end")


def test_install_that_was_killed_anywhere_is_done_again(machine: Machine) -> None:
    for _ in killed_everywhere(machine, "install", "1"):
        assert machine.serves in (None, "1")
    assert (machine.serves, machine.current) == ("1", "1")


def test_upgrade_that_was_killed_anywhere_leaves_what_serves(machine: Machine) -> None:
    machine.done("install", "1")
    for _ in killed_everywhere(machine, "upgrade", "2"):
        assert machine.serves in ("1", "2")
        assert machine.current in ("1", "2")  # Whichever a restart would find, it is whole.
    assert (machine.serves, machine.current) == ("2", "2")
