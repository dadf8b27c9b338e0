"""``kill -9`` in the midst of uploads: what was acknowledged is whole, no row lacks its content, and nothing else stays."""

from __future__ import annotations

import hashlib
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import trio
from served import Server

import trialogue_sqlite
from trialogue import open_library

ROUNDS = 4
UPLOADERS = 4


async def test_killed_while_files_arrive(tmp_path: Path) -> None:
    seed = int(os.environ.get("TRIALOGUE_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
    source = random.Random(seed)
    #: File -> digest of its content, of every upload that was answered.
    acknowledged: dict[str, str] = {}
    first = trio.Event()
    server = Server(tmp_path)
    cookies: dict[str, str] = {}
    try:
        for round in range(ROUNDS):
            await trio.to_thread.run_sync(server.start)
            async with trio.open_nursery() as nursery:
                cookies = cookies or await register(server)
                for _ in range(UPLOADERS):
                    nursery.start_soon(keep_uploading, server, cookies, source, acknowledged, first)
                await trio.sleep(source.uniform(0.02, 0.4))
                if round == ROUNDS - 1:  # However slow the machine, something was promised that is to be judged.
                    with trio.fail_after(60):
                        await first.wait()
                await trio.to_thread.run_sync(server.kill)
    finally:
        server.close()
    try:
        await judge(tmp_path / "data", acknowledged)
    except AssertionError as error:
        error.add_note(f"TRIALOGUE_TEST_SEED={seed}")
        raise


async def register(server: Server) -> dict[str, str]:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert (await client.post("/api/auth/register", json=body)).status_code == 201
        return dict(client.cookies)


async def keep_uploading(
    server: Server, cookies: dict[str, str], source: random.Random, acknowledged: dict[str, str], first: trio.Event
) -> None:
    """Until the server is gone. Some of what is sent is sent often, so that uploads meet the same content."""
    async with httpx2.AsyncClient(base_url=server.url, cookies=cookies, trust_env=False, timeout=10) as client:
        while True:
            contents = [source.randbytes(source.choice([10, 100_000, 3_000_000])) for _ in range(2)] + [b"the same"]
            try:
                answer = await client.post("/api/upload", files=[("file", ("f", content)) for content in contents])
            except httpx2.TransportError:
                return
            assert answer.status_code == 201, answer.text
            for file, content in zip(answer.json()["files"], contents, strict=True):
                assert file["sha256"] == hashlib.sha256(content).hexdigest()
                acknowledged[file["id"]] = file["sha256"]
            first.set()


async def judge(data: Path, acknowledged: dict[str, str]) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    opening = trialogue_sqlite.trialogue_store("sqlite:", data)
    assert opening is not None
    async with opening as store, open_library(store.files, data / "files", now=lambda: later) as library:
        rows = [file for name in acknowledged if (file := await store.files.file(name)) is not None]
        assert {file.id: file.sha256 for file in rows} == acknowledged
        owner = rows[0].owner
        every = (await store.files.page(owner, limit=100_000)).files
        for file in every:
            async with library.open(file) as reader:
                content = await reader.read(0, file.size)
            assert hashlib.sha256(content).hexdigest() == file.sha256
        await library.blobs.sweep(older=0)
        await library.sweep()
        assert (await store.files.space(owner, later)).reserved == 0
        on_disk = {path.name for path in (data / "files").rglob("*") if path.is_file()} - {"trialogue-files.json"}
        assert on_disk == {file.sha256 for file in every}
