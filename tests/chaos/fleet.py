"""Nodes of one cluster in processes of their own, on one PostgreSQL and one Redis, each behind proxies of its own.

A node has four links that can fail: ``front`` (its clients'), ``database``, ``redis``, and ``peers`` (what other nodes
reach it by). Its process can be killed, stopped, drained and started again.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import postgres_server
import redis_server
import trio
from chaos.asking import FAILED, ask, ask_whole
from chaos.proxy import Proxy, make_proxy
from postgres_stores import with_parameters
from served import Server

#: What nodes are told besides where everything is.
SETTINGS = {
    "rate_per_user": "1000000",
    "burst_per_user": "1000000",
    "rate_per_address": "1000000",
    "burst_per_address": "1000000",
    "streams_per_user": "10000",
    "sockets_per_user": "10000",
    "log_level": "info",
    "log_requests": "false",
    # Readers that do not read are cut, and drains end, within the length of a test.
    "send_deadline_seconds": "3",
    "shutdown_grace_seconds": "2",
}
#: Seconds within which a process starts, while others want the same processor; and within which one that drains ends.
START, STOP = 120.0, 30.0
#: Seconds within which all nodes are ready once nothing is wrong any more: a connection to the database whose other end
#: forgot it is given up after 45.
READY = 75.0


class Node:
    """One process and its links."""

    def __init__(self, name: str, server: Server, links: Mapping[str, Proxy]) -> None:
        self.name = name
        self.links = links
        #: Held by whoever does something to the process.
        self.hands = trio.Lock()
        #: Starts that failed, as they may while the database is away.
        self.failed_starts = 0
        #: What was wrong with its ends.
        self.problems: list[str] = []
        self._server = server

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    @property
    def port(self) -> int:
        """Where clients find it."""
        return self.links["front"].port

    async def start(self) -> None:
        """Start it until it serves."""
        with trio.move_on_after(START) as patience:
            while not await self._started():
                self.failed_starts += 1
                await trio.sleep(0.2)
        if patience.cancelled_caught:
            raise AssertionError(f"{self.name} does not start any more:\n{self.log()[-3000:]}")

    async def _started(self) -> bool:
        try:
            with trio.move_on_after(START / 2) as patience:
                await trio.to_thread.run_sync(self._server.start, abandon_on_cancel=True)
        except AssertionError:
            patience.cancel()
        if patience.cancel_called:
            self._server.kill()
            return False
        for link in ("front", "peers"):
            self.links[link].target = self._server.port
        return True

    async def kill(self) -> None:
        """End it in the midst of everything."""
        await trio.to_thread.run_sync(self._server.kill)

    def pause(self) -> None:
        """Let it do nothing; its connections stay open."""
        self._server.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on, as if nothing had been."""
        self._server.signal(signal.SIGCONT)

    async def drain(self) -> None:
        """Ask it to end, and wait until it has."""
        self._server.signal(signal.SIGTERM)
        try:
            with trio.fail_after(STOP):
                while not self.ended_by_itself():  # noqa: ASYNC110 - a process is asked
                    await trio.sleep(0.05)
            code = self._server.wait(1)
        except trio.TooSlowError as error:
            self.problems.append(f"{self.name} did not end within {STOP:g} s of being asked to: {error!r}")
            await self.kill()
        else:
            if code:
                self.problems.append(f"{self.name} ended with {code} when asked to:\n{self.log()[-2000:]}")

    def tell(self) -> None:
        """Have it write down what is alive in it."""
        self._server.signal(signal.SIGUSR1)

    def ended_by_itself(self) -> bool:
        """Whether it ended though nobody asked it to."""
        process = self._server.process
        return process is not None and process.poll() is not None

    def log(self) -> str:
        """What it has said."""
        return self._server.log()

    def close(self) -> None:
        """End it for good."""
        self._server.close()


class Fleet:
    """The nodes, and what they stand on."""

    def __init__(
        self, nodes: list[Node], database: postgres_server.PostgresServer, redis: redis_server.RedisServer
    ) -> None:
        self.nodes = nodes
        self.database = database
        self.redis = redis
        #: Held by whoever does something to the database's or Redis' process.
        self.database_hands, self.redis_hands = trio.Lock(), trio.Lock()

    def ports(self) -> list[int]:
        """Where clients find them."""
        return [node.port for node in self.nodes]

    async def start(self) -> None:
        """Start them one after the other, so that the first makes the schema."""
        for node in self.nodes:
            await node.start()

    async def register(self) -> str:
        """An account; the cookie of its session."""
        body = {"email": "chaos@example.org", "password": "correct horse battery staple", "name": "Chaos"}
        status, headers, answer = await ask_whole(self.nodes[0].port, "POST", "/api/auth/register", body)
        assert status == 201, answer
        return headers["set-cookie"].partition(";")[0]

    async def heal(self) -> None:
        """Have every link be a good one, and every node ready; one that does not get ready has a problem."""
        for node in self.nodes:
            for link in node.links.values():
                link.heal()
        with trio.move_on_after(READY) as patience:
            for node in self.nodes:
                while await _readiness(node.port) != 200:  # noqa: ASYNC110 - another process is asked
                    await trio.sleep(0.1)
        if patience.cancelled_caught:
            for node in self.nodes:
                if await _readiness(node.port) != 200:
                    node.problems.append(await _account(node))


async def _readiness(port: int) -> Any:
    """Its status, or whatever else came of asking."""
    try:
        with trio.fail_after(2):
            status, answer = await ask(port, "GET", "/readyz")
            return 200 if status == 200 else answer
    except FAILED as error:
        return error


async def _account(node: Node) -> str:
    """Why a node is not ready, as far as it can be told from here."""
    readiness = await _readiness(node.port)
    if not node.ended_by_itself():
        node.tell()
        await trio.sleep(1)
    return f"{node.name}, {READY:g} s after everything was well again: {readiness!r}\n{node.log()[-6000:]}"


@asynccontextmanager
async def open_fleet(count: int) -> AsyncGenerator[Fleet]:
    """So many nodes, not started yet, on fresh servers; all are gone after the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="trialogue-chaos-")))
        database = stack.enter_context(postgres_server.open_server("max_connections=100"))
        redis = stack.enter_context(redis_server.open_server())
        async with trio.open_nursery() as nursery:
            nodes: list[Node] = []
            for number in range(count):
                links = {
                    "front": await make_proxy(),
                    "database": await make_proxy(database.port),
                    "redis": await make_proxy(redis.port),
                    "peers": await make_proxy(),
                }
                for link in links.values():
                    nursery.start_soon(link.run)
                home = folder / f"node{number}"
                home.mkdir()
                node = Node(f"node{number}", Server(home, **_settings(number, links, database.dsn)), links)
                stack.callback(node.close)
                nodes.append(node)
            yield Fleet(nodes, database, redis)
            nursery.cancel_scope.cancel()


def _settings(number: int, links: Mapping[str, Proxy], dsn: str) -> dict[str, str]:
    proxied = dsn.rpartition("@")[0] + f"@127.0.0.1:{links['database'].port}/trialogue"
    return {
        **SETTINGS,
        "storage_url": with_parameters(proxied, connections="6"),
        "redis_url": f"redis://127.0.0.1:{links['redis'].port}/0",
        "cluster_secret": "chaos-chaos-chaos-chaos",
        "advertise": f"http://127.0.0.1:{links['peers'].port}",
        "node_name": f"node{number}",
    }
