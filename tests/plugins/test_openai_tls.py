"""Over TLS the answer is read in whole reads just as well, and the connection is used again."""

from __future__ import annotations

import shutil
import ssl
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import trio

from trialogue import Message, Request, TextPart
from trialogue.testing.provider_kit import check_order, drain, text_of_pieces
from trialogue.testing.upstream import chat_end, chat_event, chat_head
from trialogue.upstreams import _client
from trialogue_openai import OpenAIProvider

REPLY = b"".join([chat_head(), *(chat_event(f"tok{i} ") for i in range(9)), *chat_end()])

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by the openssl command")


@pytest.fixture
async def server_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context with a certificate of its own, which clients of this process trust."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await trio.run_process([*command.split(), *names], capture_stderr=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(_client, "_tls", _client._tls.__wrapped__)  # without its memory of another test's trust
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_an_answer_arrives_over_tls(server_tls: ssl.SSLContext) -> None:
    connections = 0

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        nonlocal connections
        connections += 1
        while (await stream.receive_some()).endswith(b"}") or await stream.receive_some():
            await stream.send_all(REPLY)

    request = Request("m", (Message("m", "c", "user", (TextPart("Hi"),), datetime.now(UTC)),))
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_ssl_over_tcp_listeners(0, server_tls, host="127.0.0.1", https_compatible=True)
            await nursery.start(partial(trio.serve_listeners, serve, [listener]))
            assert isinstance(listener.transport_listener, trio.SocketListener)
            port = listener.transport_listener.socket.getsockname()[1]
            async with aclosing(OpenAIProvider(None, f"https://127.0.0.1:{port}/v1")) as provider:
                for _ in range(3):
                    async with provider.open_response(request) as stream:
                        assert repr(type(stream._body)).endswith("WireBody'>")  # type: ignore[attr-defined]
                        pieces = await drain(stream)
                    check_order(pieces)
                    assert text_of_pieces(pieces) == "".join(f"tok{i} " for i in range(9))
            nursery.cancel_scope.cancel()
    assert connections == 1
