"""One request on a connection of its own, which may fail at any byte."""

from __future__ import annotations

import json
from typing import Any

import h11
import trio

#: How a request fails when something in between does.
FAILED = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, h11.RemoteProtocolError)


async def ask(port: int, method: str, path: str, body: Any = None, cookie: str = "", key: str = "") -> tuple[int, Any]:
    """Status and body of the answer; headers are not wanted. Raises one of ``FAILED``."""
    status, _, answer = await ask_whole(port, method, path, body, cookie, key)
    return status, answer


async def ask_whole(
    port: int, method: str, path: str, body: Any = None, cookie: str = "", key: str = ""
) -> tuple[int, dict[str, str], Any]:
    """The same with the headers, their names in lower case."""
    data = b"" if body is None else json.dumps(body).encode()
    fields = [("Host", "127.0.0.1"), ("Accept", "application/json"), ("Connection", "close")]
    fields += [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    fields += [("Cookie", cookie)] * bool(cookie) + [("Idempotency-Key", key)] * bool(key)
    protocol = h11.Connection(h11.CLIENT)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        sent = [protocol.send(h11.Request(method=method, target=path, headers=fields))]
        sent += [protocol.send(h11.Data(data=data)), protocol.send(h11.EndOfMessage())]
        await stream.send_all(b"".join(part or b"" for part in sent))
        status, headers, answer = 0, dict[str, str](), b""
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                protocol.receive_data(await stream.receive_some(65_536))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                answer += bytes(event.data)
            else:
                break
    return status, headers, _json(answer)


def _json(answer: bytes) -> Any:
    try:
        return json.loads(answer or b"null")
    except ValueError:
        return answer[:200]
