"""A folder in the place of a machine's root, on which the scripts of ``deploy`` run for real.

Python, pip and systemctl are stand-ins: what they do on a real machine is tried on booted ones (``test_systemd``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Commands by which a script changes something.
CHANGING = ("cp", "mv", "ln", "rm", "mkdir", "touch", "chmod", "sync", "systemctl", "python")

PYTHON = """\
#!/bin/sh
case "$*" in
  "-B "*) exec "$REAL_PYTHON" "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *"install"*"--no-build-isolation"* | *"install"*"/trialogue-"*".whl")
    [ ! -e "$STATE/no-build" ] || exit 1
    printf '#!/bin/sh\\necho trialogue\\n' > "${0%/*}/trialogue"; chmod +x "${0%/*}/trialogue" ;;
esac
"""
#: Its state: the pid and the version of what serves, and what it says. A version named `bad...` never takes over, and
#: one named `old...` does not know the storage.
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "$STATE/calls"
current=$(basename "$(readlink "$ROOT/opt/trialogue/current")")
start() { echo $(($(cat "$STATE/pid" 2> /dev/null || echo 100) + 1)) > "$STATE/pid"; echo "$current" > "$STATE/serves"; }
case "$1" in
  start) case "$(readlink "$ROOT/opt/trialogue/next")" in old*) exit 1 ;; esac ;;
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
    """A root of its own, with stand-ins, and the checkout or a bundle to install from."""

    def __init__(self, folder: Path, source: Path = ROOT) -> None:
        self.source = source
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
            "REAL_PYTHON": sys.executable,
            "KILL_AT": str(kill_at),
            "PATIENCE": "5",
        }
        command = ["sh", str(self.source / "deploy" / script), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def copy(self, folder: Path) -> Machine:
        """Another one that is as this one is now."""
        folder.mkdir()
        other = Machine(folder, self.source)
        for mine, its in ((self.root, other.root), (self.state, other.state)):
            shutil.copytree(mine, its, symlinks=True, dirs_exist_ok=True)
        return other

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
