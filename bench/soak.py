"""A soak: the same mixed life for as long as one likes, with all going wrong that can, and figures that must not grow.

States: over the minutes it runs, with answers that fail and are stopped, readers that leave, resume and read nothing,
uploads, searches and bytes that are no HTTP, the server's memory is no more than a tenth higher in the last quarter than in
the third, descriptors and tasks come back to where they were, no service was restarted, and no request failed.

The first half is for warming up: what grows in it is SQLite's cache of pages, to its bound of 32 MB for the connection that
writes. (Between minutes 1 and 10 of a run, 24.7 MB were allocated, 24.4 of them by SQLite, which had 30.5 then, and Python
had as many blocks as before.)

    python -m bench soak --minutes 60
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx2
import trio

from bench.processes import LOAD_CPU
from bench.results import Row
from bench.servers import Trialogue
from trialogue_server._top.reading import UnreachableError, read

NAME = "soak"
#: People who live side by side, and seconds between two looks at the server.
PEOPLE, PAUSE = 12, 5.0
#: Seconds a client waits for anything: others may have the machine for a while, or all of us be stopped for a minute.
PATIENCE = 180.0
#: Idle conversations leave memory this soon, so that many come and go.
IDLE = 10.0
ENDS = ("run.completed", "run.incomplete", "run.failed", "run.cancelled")
#: What is asked of the model: most of it goes well.
ASKED = (
    *("[[rate=100 tokens=80]]",) * 6,
    "[[rate=0 tokens=400]]",
    "[[reason=20 tokens=40 rate=200]]",
    "[[fail=10 kind=broken]]",
    "[[fail=0 kind=throttled]]",
    "[[garbage=5]]",
    "[[die=5]]",
    "[[finish=length]]",
)


class Look(NamedTuple):
    """What the server said of itself at one time."""

    memory: float
    descriptors: float
    tasks: float
    conversations: float
    restarts: float
    broken: float
    runs: float


class World:
    """The server, and all who live with it."""

    def __init__(self, url: str, port: int, source: random.Random) -> None:
        self.url = url
        self.port = port
        self.source = source
        self.done: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        #: Looks at the server that came to nothing: they wait for it for seconds, where people wait for minutes.
        self.unseen: int = 0

    async def person(self, number: int) -> None:
        """One of them: does this and that until cancelled."""
        ways: Sequence[Callable[[httpx2.AsyncClient], Awaitable[None]]] = (
            *(self.talk,) * 6,
            self.leave,
            self.stop,
            self.stare,
            self.upload,
            self.search,
            self.babble,
        )
        timeout = httpx2.Timeout(PATIENCE, pool=None)
        async with httpx2.AsyncClient(base_url=self.url, timeout=timeout, trust_env=False) as client:
            body = {"email": f"p{number}@example.org", "password": "correct horse battery", "name": str(number)}
            (await client.post("/api/auth/register", json=body)).raise_for_status()
            while True:
                way = self.source.choice(ways)
                try:
                    await way(client)
                    self.done[way.__name__] += 1
                except (httpx2.HTTPError, OSError, trio.BrokenResourceError) as error:
                    self.problems[f"{way.__name__}: {type(error).__name__}"] += 1
                await trio.sleep(self.source.uniform(0.1, 0.6))

    async def talk(self, client: httpx2.AsyncClient) -> None:
        """A short conversation, read to its end with a reconnection in the middle, and removed for good."""
        url = await self._begin(client)
        for _ in range(self.source.randint(1, 3)):
            location = await self._ask(client, url, self.source.choice(ASKED))
            cursor = await self._read(client, location, most=self.source.randint(1, 30))
            if cursor is not None:
                await self._read(client, location, cursor=cursor)
        (await client.request("DELETE", url, params={"purge": "true"})).raise_for_status()

    async def leave(self, client: httpx2.AsyncClient) -> None:
        """Ask, and go; somebody else removes it much later, when it is idle."""
        url = await self._begin(client)
        await self._ask(client, url, "[[rate=50 tokens=100]]")

    async def stop(self, client: httpx2.AsyncClient) -> None:
        """Ask for what never ends, and stop it."""
        url = await self._begin(client)
        await self._ask(client, url, "[[rate=100 endless]]")
        await trio.sleep(self.source.uniform(0, 0.5))
        (await client.post(f"{url}/stop", json={})).raise_for_status()

    async def stare(self, client: httpx2.AsyncClient) -> None:
        """Open a stream and read nothing of it, for a while."""
        url = await self._begin(client)
        async with client.stream("GET", f"{url}/events", headers={"Accept": "text/event-stream"}):
            await self._ask(client, url, "[[rate=0 tokens=2000]]")
            await trio.sleep(self.source.uniform(0, 3))

    async def upload(self, client: httpx2.AsyncClient) -> None:
        """A file, and gone again."""
        content = self.source.randbytes(self.source.randint(1, 200_000))
        answer = await client.post("/api/upload", files={"file": ("soak.bin", content)})
        answer.raise_for_status()
        (await client.delete(f"/api/files/{answer.json()['files'][0]['id']}")).raise_for_status()

    async def search(self, client: httpx2.AsyncClient) -> None:
        """Lists and searches."""
        for path in ("/api/search?q=the", "/api/conversations", "/api/usage", "/api/models"):
            (await client.get(path)).raise_for_status()

    async def babble(self, _: httpx2.AsyncClient) -> None:
        """Bytes that are no HTTP, or half of it."""
        heads = (self.source.randbytes(300), b"GET /api/models HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\n" * 50)
        with suppress(trio.BrokenResourceError):
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                await stream.send_all(self.source.choice(heads))
                with trio.move_on_after(0.5):
                    await stream.receive_some(4096)

    async def _begin(self, client: httpx2.AsyncClient) -> str:
        answer = await client.post("/api/conversations", json={})
        answer.raise_for_status()
        return str(answer.headers["location"])

    async def _ask(self, client: httpx2.AsyncClient, url: str, text: str) -> str:
        answer = await client.post(f"{url}/messages", json={"text": text})
        answer.raise_for_status()
        return str(answer.headers["location"])

    async def _read(
        self, client: httpx2.AsyncClient, url: str, *, most: int | None = None, cursor: str | None = None
    ) -> str | None:
        """Read until the end, or ``most`` lines; the cursor to go on at, ``None`` when it was over."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
        async with client.stream("GET", url, headers=headers) as answer:
            answer.raise_for_status()
            seen = 0
            async for line in answer.aiter_lines():
                seen += 1
                if line.startswith("id:"):
                    cursor = line[3:].strip()
                if line.startswith("event:") and line[6:].strip() in ENDS:
                    return None
                if most is not None and seen >= most:
                    return cursor
        return None


def run(quick: bool = False, minutes: float = 60) -> list[Row]:
    """Live for so many minutes."""
    seconds = 45.0 if quick else minutes * 60
    with TemporaryDirectory(prefix="trialogue-soak-") as folder:
        settings = {
            "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
            "TRIALOGUE_PASSIVATION_SECONDS": str(IDLE),
            "OPENAI_API_KEY": "",
        }
        server = Trialogue(Path(folder), settings, LOAD_CPU)
        try:
            process = server.start()
            with suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text(
                    "0"
                )  # It is in no hurry, and keeps nobody from working.
            looks, world, after = trio.run(_live, server, seconds)
        finally:
            if server.process is not None:
                server.process.stop()
    return _rows(looks, world, after, seconds)


async def _live(server: Trialogue, seconds: float) -> tuple[list[Look], World, Look]:
    url = f"http://127.0.0.1:{server.port}"
    world = World(url, server.port, random.Random(1))
    looks: list[Look] = []
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for number in range(PEOPLE):
                nursery.start_soon(world.person, number)
            while True:
                await trio.sleep(PAUSE)
                try:
                    looks.append(await trio.to_thread.run_sync(look, url))
                except UnreachableError:
                    world.unseen += 1
    await trio.sleep(2 * IDLE + 5)  # Until all that was begun has ended, and left memory.
    return looks, world, await trio.to_thread.run_sync(look, url)


def look(url: str) -> Look:
    """The server's own figures."""
    found = read(url, "").samples

    def total(name: str, **labels: str) -> float:
        wanted = labels.items()
        return sum(value for (one, of), value in found.items() if one == name and wanted <= dict(of).items())

    broken = sum(total("trialogue_http_requests_total", status=status) for status in ("500", "502", "503", "504"))
    return Look(
        total("process_resident_memory_bytes"),
        total("process_open_fds"),
        total("trialogue_tasks"),
        total("trialogue_conversations"),
        total("trialogue_restarts_total"),
        broken,
        total("trialogue_runs_total"),
    )


def _rows(looks: Sequence[Look], world: World, after: Look, seconds: float) -> list[Row]:
    quarter = max(len(looks) // 4, 1)
    cold, early, late = (
        looks[quarter : 2 * quarter] or looks,
        looks[2 * quarter : 3 * quarter] or looks,
        looks[-quarter:],
    )
    second, first, last = (fmean(one.memory for one in some) for some in (cold, early, late))
    slope = _slope([one.memory for one in looks[2 * quarter :]]) * 3600 / PAUSE
    for problem, count in world.problems.most_common(10):
        print(f"{count} x {problem}")
    return [
        Row(NAME, "minutes", seconds / 60, ""),
        Row(NAME, "runs", looks[-1].runs, ""),
        Row(NAME, "things done", world.done.total(), ""),
        Row(NAME, "memory in the second quarter", second / 1024**2, "MB"),
        Row(NAME, "memory in the third quarter", first / 1024**2, "MB"),
        Row(NAME, "memory in the last quarter / in the third", last / first, "x", "<= 1.1"),
        Row(NAME, "memory's slope in the second half", slope / 1024**2, "MB/h"),
        Row(NAME, "descriptors while busy, most", max(one.descriptors for one in looks), ""),
        Row(NAME, "descriptors afterwards", after.descriptors, "", f"<= {looks[0].descriptors:g}"),
        Row(NAME, "tasks afterwards", after.tasks, "", "== 0"),
        Row(NAME, "conversations in memory afterwards", after.conversations, "", "== 0"),
        Row(NAME, "restarts of services", after.restarts, "", "== 0"),
        Row(NAME, "requests answered 5xx", after.broken, "", "== 0"),
        Row(NAME, "requests that failed for a client", world.problems.total(), "", "== 0"),
        Row(NAME, "looks that were not answered within seconds", world.unseen, ""),
    ]


def _slope(values: Sequence[float]) -> float:
    """The least-squares line's growth from one value to the next."""
    middle, mean = (len(values) - 1) / 2, fmean(values)
    above = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    return above / max(sum((place - middle) ** 2 for place in range(len(values))), 1)
