"""A small application to attack, served as Hypercorn comes or under the guard. Run as ``target.py stock|guard {settings}``.

Prints its port once it accepts connections, and ends on SIGTERM. Not a test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import trio
from hypercorn.config import Config
from quart import Response, request, websocket
from quart_trio import QuartTrio

app = QuartTrio(__name__)
uploads = {"waiting": 0}


@app.get("/")
async def index() -> dict[str, bool]:
    return {"ok": True}


@app.post("/echo")
async def echo() -> Response:
    return Response(await request.get_data(), content_type="application/octet-stream")


@app.post("/json")
async def take_json() -> dict[str, Any]:
    return {"got": await request.get_json(silent=True)}


@app.post("/pieces")
async def pieces() -> dict[str, int]:
    size = 0
    async for piece in request.body:
        size += len(piece)
    return {"size": size}


@app.post("/hesitant")
async def hesitant() -> dict[str, int]:
    """Does not read while the client pours."""
    await trio.sleep(3)
    return {}


@app.get("/firehose")
async def firehose() -> Response:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    return Response(body(), content_type="application/octet-stream")


@app.get("/silent")
async def silent() -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b": ok\n\n"
        await trio.sleep(60)

    return Response(body(), content_type="text/event-stream")


@app.get("/breaks")
async def breaks() -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        raise RuntimeError("a provider failed in mid-stream")

    return Response(body(), content_type="text/event-stream")


@app.get("/long")
async def long() -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await trio.sleep(1.5)
        yield b"last"

    return Response(body(), content_type="text/plain")


@app.websocket("/ws")
async def echo_socket() -> None:
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/quiet")
async def quiet_socket() -> None:
    await websocket.accept()
    await trio.sleep(60)


@app.websocket("/busy")
async def busy_socket() -> None:
    await websocket.accept()
    await trio.sleep(1)
    while True:
        await websocket.send(await websocket.receive())


async def wait_for_term(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            return


def settings_for(guarded: bool, given: dict[str, Any]) -> Config:
    timeout = given.pop("response_timeout", None)
    if timeout is not None:
        app.config["RESPONSE_TIMEOUT"] = timeout
    limits = given.pop("limits", {})
    if guarded:
        from trialogue_server._guard import Limits, make_config, prepare_app

        prepare_app(app)
        config = make_config("127.0.0.1", 0, fds=[], limits=msgspec.convert(limits, Limits))
    else:
        config = Config()
        config.bind = ["127.0.0.1:0"]
    for name, value in given.items():
        setattr(config, name, value)
    return config


async def main(kind: str, given: dict[str, Any]) -> None:
    config = settings_for(kind == "guard", given)
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        if kind == "guard":
            from trialogue_server._guard import serve_guarded

            serve = partial(serve_guarded, app, config, shutdown_trigger=stop.wait)
        else:
            from hypercorn.trio import serve as stock_serve

            serve = partial(stock_serve, app, config, shutdown_trigger=stop.wait, mode="asgi")
        binds = await nursery.start(serve)
        print(binds[0].rsplit(":", 1)[1], flush=True)
        await wait_for_term()
        stop.set()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], json.loads(sys.argv[2]))
    os._exit(0)
