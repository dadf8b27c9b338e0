"""Another version, with another schema, takes over: side by side where that can be, and not at all if its migration fails.

The versions are the project itself, with one more migration in the storage plugin, behind a script whose path stays as it
is, as ``/opt/trialogue/current/bin/trialogue`` does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from bench.manager import Manager
from deploy.service import Service, conversation_of, heard, signed_in
from postgres_server import open_server

from trialogue_sqlite._driver import connect

PLUGINS = Path(__file__).parents[2] / "plugins/storage"
SCRIPT = """\
#!{python}
import sys
sys.path[:0] = open({current!r}).read().split()
from trialogue_server.cli import main
sys.exit(main())
"""
GOOD = "CREATE TABLE more (a integer);"
BROKEN = f"{GOOD} INSERT INTO nowhere VALUES (1);"


class Versions(Service):
    """A service whose version can be changed while it runs."""

    def __init__(self, folder: Path, storage: str) -> None:
        self.manager = Manager(folder / "notify")
        super().__init__(folder, self.manager, {"NOTIFY_SOCKET": self.manager.address}, storage_url=storage)
        self._current = folder / "current"
        self._current.write_text("")
        self._plugin = f"trialogue_{storage.partition(':')[0].replace('postgresql', 'postgres')}"
        self._script = folder / "trialogue"
        self._script.write_text(SCRIPT.format(python=sys.executable, current=str(self._current)))
        self._script.chmod(0o755)

    def command(self) -> list[str]:
        return [str(self._script), "serve", "--port", str(self.port)]

    def put(self, migration: str | None) -> None:
        """Have the next process be of a version with one more migration, or of the first version."""
        if migration is None:
            self._current.write_text("")
            return
        place = self.folder / f"version{time.monotonic_ns()}"
        shutil.copytree(PLUGINS / self._plugin, place / self._plugin)
        (place / self._plugin / "migrations/9000_more.sql").write_text(migration)
        self._current.write_text(str(place))

    def go_over(self) -> None:
        """Have another process take over, and see that it did."""
        self.signal(signal.SIGHUP)
        self.manager.wait_for("MAINPID=")
        self.manager.wait_for("READY=1")

    def fail_to_go_over(self, words: str) -> None:
        """Have another process try to, and see that it says that and that the one before serves."""
        before, said = self.manager.pid, len(self.log())
        self.signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while not (words in self.log()[said:] and "we go on" in self.log()[said:]) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert words in self.log()[said:]
        assert self.manager.pid == before

    def signal(self, number: int) -> None:
        os.kill(self.manager.pid, number)


@pytest.fixture(params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Versions]:
    if request.param == "sqlite":
        yield from started(tmp_path, "sqlite:")
        return
    with open_server() as server:
        yield from started(tmp_path, server.dsn)


def started(folder: Path, storage: str) -> Iterator[Versions]:
    service = Versions(folder, storage)
    try:
        service.start()
        yield service
    finally:
        service.close()


def has_more(service: Versions) -> bool:
    """Whether the migration was applied."""
    url = service._settings["TRIALOGUE_STORAGE_URL"]
    if url == "sqlite:":
        with closing(connect(service.folder / "data/trialogue.db", write=False)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").get)
    with psycopg.connect(url) as database:
        found = database.execute("SELECT to_regclass('more') IS NOT NULL").fetchone()
        return bool(found and found[0])


def test_failing_migration_leaves_the_version_before_and_a_good_one_takes_over(service: Versions) -> None:
    with signed_in(service) as client:
        name = client.post("/api/conversations", json={"title": "Kept"}).json()["id"]
        service.put(BROKEN)
        service.fail_to_go_over("nowhere")
        assert not has_more(service)
        assert client.get(f"/api/conversations/{name}").json()["conversation"]["title"] == "Kept"

        # While an answer is written: over PostgreSQL the old version writes it to its end, into the newer schema.
        talked = conversation_of(client, "[[tokens=60 rate=40 numbered]]")
        service.put(GOOD)
        service.go_over()
        assert has_more(service)
        assert "event: run.interrupted" not in heard(client, talked)
        answer = client.get(f"/api/conversations/{talked}").json()["messages"][1]
        assert "".join(part["text"] for part in answer["parts"]) == "".join(f"{n} " for n in range(60))

        # The first version does not know the schema any more, and says so before the other one has stepped back.
        service.put(None)
        said = len(service.manager.lines)
        service.fail_to_go_over("newer version")
        service.manager.hear()
        assert not [line for line in service.manager.lines[said:] if "hand over" in line]
        assert client.get(f"/api/conversations/{name}").json()["conversation"]["title"] == "Kept"
