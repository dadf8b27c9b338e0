"""The way out of a WebSocket: whole frames, none after a Close, and the same JSON as on a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trialogue_server._hub.sink import Chunk
from trialogue_server._hub.socket_sink import DirectOutlet
from trialogue_server._hub.texts import frame_text, message_prefix

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Writer:
    busy = False

    def __init__(self) -> None:
        self.written = b""

    def write_nowait(self, data: bytes) -> int:
        self.written += data
        return len(data)


class Connection:
    """As much of a guarded connection as the outlet sees."""

    def __init__(self) -> None:
        self.parted = False
        self.writer = Writer()


def frames(data: bytes) -> list[bytes]:
    """The texts of a server's frames."""
    found: list[bytes] = []
    while data:
        assert data[0] == 0x81, "a final frame of text"
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        found.append(data[start : start + size])
        data = data[start + size :]
    return found


def event_frame(kind: str, data: object, cursor: str | None) -> bytes:
    """As the core writes it."""
    head = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return head + b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(data).encode())


@given(
    st.lists(st.tuples(st.sampled_from(["part.delta", "reset"]), JSON), max_size=5), st.text(min_size=1, max_size=64)
)
def test_every_event_becomes_one_message_with_the_same_data(events: list[tuple[str, Any]], name: str) -> None:
    cursors = [None if kind == "reset" else f"0001.{number:010d}" for number, (kind, _) in enumerate(events)]
    data = b"".join(event_frame(kind, value, cursor) for (kind, value), cursor in zip(events, cursors, strict=True))
    texts = frames(Chunk(data, 0).framed_texts(message_prefix(name)))
    assert len(texts) == len(events)
    for text, (kind, value), cursor in zip(texts, events, cursors, strict=True):
        expected = {"type": "event", "id": name, "event": kind, "data": value}
        assert json.loads(text) == (expected if cursor is None else {**expected, "token": cursor})


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 1_000_000])
def test_frames_of_every_size(size: int) -> None:
    assert frames(frame_text(b"x" * size)) == [b"x" * size]


def test_subscriptions_with_different_names_get_their_own() -> None:
    chunk = Chunk(event_frame("usage", {}, "1"), 1)
    for name in ("a", "b", "a"):
        (text,) = frames(chunk.framed_texts(message_prefix(name)))
        assert json.loads(text)["id"] == name


def test_nothing_follows_a_close_frame() -> None:
    connection: Any = Connection()
    outlet, chunk = DirectOutlet(connection), Chunk(event_frame("usage", {}, "1"), 1)
    assert outlet.write_nowait(chunk, message_prefix("a")) == 0
    before, connection.parted = connection.writer.written, True
    with pytest.raises(trio.BrokenResourceError):
        outlet.write_nowait(chunk, message_prefix("a"))
    assert connection.writer.written == before != b""
