"""Whether it is ready is told to everybody, and therefore without what only its operator may know."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import trio
import trio.testing
from rest import serve
from trio.testing import MockClock

from trialogue import StorageError
from trialogue.testing import MemoryStore
from trialogue_server._serving.shared_look import SharedLook

SECRET = "postgresql://app:hunter2@db.internal/chat"


class Failing(MemoryStore):
    """A store that says where it is when it fails."""

    failing = True

    async def check(self) -> None:
        if self.failing:
            raise StorageError(f"no connection to {SECRET}")


@asynccontextmanager
async def asking(store: MemoryStore, files: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    async with serve(store=store, files=files) as server, server.client() as client:
        yield client


async def test_no_path_and_no_address_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "trialogue.health")
    store = Failing()
    async with asking(store, tmp_path / "files") as client:
        os.rename(tmp_path / "files", tmp_path / "away")
        for _ in range(3):
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            checks = answer.json()["checks"]
            assert [checks[name]["ok"] for name in ("engine", "storage", "files")] == [True, False, False]
            assert not any(word in answer.text for word in ("hunter2", "db.internal", str(tmp_path), "/files"))
        told = [record.getMessage() for record in caplog.records if record.name == "trialogue.health"]
        assert [line.split(":")[1].strip() for line in told] == ["storage", "files"], "once each, and not each time"
        assert "no connection" in told[0]
        store.failing = False
        os.rename(tmp_path / "away", tmp_path / "files")
        assert (await client.get("/readyz")).status_code == 200
        assert caplog.records[-1].getMessage().startswith("ready again")


async def test_those_who_ask_at_once_share_a_look(autojump_clock: MockClock) -> None:
    """However many ask, nobody's answer is later than two looks: a balancer's must not be."""
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        await trio.sleep(1)
        if looks == 2:
            raise StorageError("the disk is full")

    shared = SharedLook(look)

    async def fails() -> None:
        with pytest.raises(StorageError):
            await shared()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(100):
            nursery.start_soon(fails)
    assert (looks, trio.current_time() - began) == (2, 2.0)
    with trio.move_on_after(0.5):
        await shared()  # Given up: it tells nobody anything.
    await shared()
    assert looks == 4
