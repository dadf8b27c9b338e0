"""Whether it is ready is told to everybody, and therefore without what only its operator may know."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from rest import serve

from trialogue import StorageError
from trialogue.testing import MemoryStore

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
