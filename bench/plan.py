"""Plans for the load client: what each stream sends, byte for byte. The format is that of ``loadc.c``.

Modes: ``h`` sends one request and reads its streamed answer, connection by connection; ``s`` keeps an event stream open and
sends commands over a second connection, as a browser does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Stream:
    """One stream of a plan: where to, what opens it, what each turn sends, and what ends a turn."""

    mode: Literal["h", "s"]
    port: int
    sends: tuple[bytes, ...]
    opening: bytes = b""
    done: bytes = b""

    def encode(self) -> bytes:
        """Its lines in the plan; blocks of bytes follow their line without anything between them."""
        parts = [b"STREAM %b 127.0.0.1 %d %d 0\n" % (self.mode.encode(), self.port, len(self.sends))]
        if self.opening:
            parts.append(_block(b"OPEN", self.opening))
        if self.done:
            parts.append(_block(b"DONE", self.done))
        parts.extend(_block(b"SEND", send) for send in self.sends)
        return b"".join(parts)


def _block(word: bytes, data: bytes) -> bytes:
    return b"%b %d\n%b\n" % (word, len(data), data)


def request(method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> bytes:
    """An HTTP/1.1 request, whole."""
    data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if body is not None:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data


def prompt(tokens: int, rate: float, *, delay_ms: float = 0, per_event: int = 1, per_write: int = 1) -> str:
    """Words that steer the stub: tokens, tokens a second (0: as fast as it goes), and how they are packed."""
    return f"bench:T={tokens}:R={rate:g}:D={delay_ms:g}:C={per_event}:B={per_write};"
