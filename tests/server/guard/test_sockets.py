"""Ports are taken first, and what is wrong with them is said in words."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypercorn.config import Config, Sockets

from trialogue import ConfigurationError
from trialogue_server._guard import make_config, open_sockets, serve_guarded
from trialogue_server._guard.sockets import inherited_fds


def close(sockets: Sockets) -> None:
    for sock in sockets.insecure_sockets + sockets.secure_sockets:
        sock.close()


def bound_to(*binds: str) -> Config:
    config = Config()
    config.bind = list(binds)
    return config


def test_port_in_use_names_it_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port}.*another port"):
            open_sockets(make_config("127.0.0.1", port, fds=[]))


def test_nothing_stays_open_when_one_fails() -> None:
    """A leaked socket would be a warning, and warnings are errors."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError):
        open_sockets(bound_to("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))


def test_address_of_another_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1:0.*not one of this machine"):
        open_sockets(make_config("192.0.2.1", 0, fds=[]))


def test_name_that_does_not_resolve() -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.host\.invalid"):
        open_sockets(make_config("no.such.host.invalid", 1, fds=[]))


def test_sockets_listen() -> None:
    sockets = open_sockets(make_config("localhost", 0, fds=[]))
    try:
        with socket.create_connection(sockets.insecure_sockets[0].getsockname()[:2], timeout=5):
            pass
    finally:
        close(sockets)


def test_stale_socket_file_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    config = make_config(f"unix:{path}", fds=[])
    close(open_sockets(config))
    assert path.exists()
    sockets = open_sockets(config)
    try:
        with pytest.raises(ConfigurationError, match="another"):
            open_sockets(config)
    finally:
        close(sockets)


def test_sockets_from_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    assert inherited_fds(ours, os.getpid()) == [3, 4]
    assert inherited_fds(ours, 1) == []
    assert inherited_fds({}, os.getpid()) == []
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    assert make_config("127.0.0.1", 4512).bind == ["fd://3", "fd://4"]


def test_adopted_socket_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        copy = os.dup(given.fileno())
        sockets = open_sockets(make_config(fds=[copy]))
        assert sockets.insecure_sockets[0].getsockname() == given.getsockname()
        close(sockets)


def test_adopting_what_is_no_socket() -> None:
    with Path(os.devnull).open() as file, pytest.raises(ConfigurationError, match="cannot listen on fd://"):
        open_sockets(make_config(fds=[file.fileno()]))


def test_name_that_no_host_can_have() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on a\.\.b:1: this is not the name of a host"):
        open_sockets(make_config("a..b", 1, fds=[]))


async def answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def test_serves_on_a_socket_file(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    config = make_config(f"unix:{path}", fds=[])
    config.errorlog = None
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_guarded, answer, config, shutdown_trigger=stop.wait))
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while not received.endswith(b"ok"):
                received += await stream.receive_some()
        stop.set()


async def test_port_in_use_is_found_before_the_app_starts() -> None:
    started: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.append(scope["type"])

    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = make_config("127.0.0.1", taken.getsockname()[1], fds=[])
        with pytest.raises(ConfigurationError, match="another port"):
            await serve_guarded(app, config, shutdown_trigger=trio.sleep_forever)
    assert not started
