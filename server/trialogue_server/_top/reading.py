"""Asks a server for its metrics and reads Prometheus' text, over TCP or a local socket, with the standard library alone."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from trialogue import ConfigurationError

#: Seconds that a server may take to answer.
PATIENCE = 5.0
#: More than any server says.
MOST_BYTES = 16 * 1024**2

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Key = tuple[str, frozenset[tuple[str, str]]]


class Reading(NamedTuple):
    """What one server said at one time."""

    at: float
    samples: Mapping[Key, float]
    #: Conversations that are busy, a line each; only for who may know.
    busy: tuple[str, ...] = ()


class _Actors(msgspec.Struct):
    tree: tuple[str, ...]


class _Node(msgspec.Struct):
    address: str
    alive: bool


class _Nodes(msgspec.Struct):
    nodes: tuple[_Node, ...]


class UnreachableError(Exception):
    """A server says nothing, for this reason."""


def read(address: str, token: str, *, tree: bool = False) -> Reading:
    """Ask ``address`` (``http://host:port`` or ``unix:/path``). Raises ``UnreachableError``."""
    status, body = ask(address, "GET", "/metrics", token)
    if status in (401, 403):
        raise UnreachableError(
            "may not be read: give a file with the metrics token or an administrator's key (--token-file)"
        )
    if status != 200:
        raise UnreachableError(f"/metrics answers {status}: is this a Trialogue server?")
    return Reading(time.monotonic(), parse(body.decode("utf-8", "replace")), _busy(address, token) if tree else ())


def nodes(address: str, token: str) -> tuple[str, ...]:
    """Where the living nodes of a server's cluster are; itself where it has none. Raises ``UnreachableError``."""
    status, body = ask(address, "GET", "/api/admin/nodes", token)
    if status != 200:
        raise UnreachableError(
            f"does not tell its nodes ({status}): give a file with an administrator's key (--token-file)"
        )
    try:
        found = msgspec.json.decode(body, type=_Nodes).nodes
    except msgspec.DecodeError as error:
        raise UnreachableError(f"does not tell its nodes: {error}") from error
    return tuple(node.address for node in found if node.alive and node.address) or (address,)


def parse(text: str) -> dict[Key, float]:
    """Samples by name and labels. What is no sample is passed by."""
    samples: dict[Key, float] = {}
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found:
            labels = frozenset(_LABEL.findall(found[2] or ""))
            try:
                samples[found[1], labels] = float(found[3])
            except ValueError:
                continue
    return samples


def _busy(address: str, token: str) -> tuple[str, ...]:
    status, body = ask(address, "GET", "/api/admin/actors", token)
    if status != 200:
        return ()
    try:
        lines = msgspec.json.decode(body, type=_Actors).tree
    except msgspec.DecodeError:
        return ()
    return tuple(line.strip() for line in lines if line.lstrip().startswith("<Cell"))


def ask(address: str, method: str, path: str, token: str, body: bytes | None = None) -> tuple[int, bytes]:
    """The status and the body of one answer. Raises ``UnreachableError``, and ``ConfigurationError`` for no address."""
    connection = connection_to(address)
    headers = {"Connection": "close", "Accept": "*/*", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers | ({"Authorization": f"Bearer {token}"} if token else {}))
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"cannot be reached: {error or type(error).__name__}") from error
    finally:
        connection.close()


def read_token(path: str) -> str:
    """What a file holds that is to be shown as a bearer token. Raises ``ConfigurationError``."""
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the token file {path!r} cannot be read: {error}") from error
    if not token or not token.isprintable():
        raise ConfigurationError(f"the token file {path!r} holds no token: one line of visible characters")
    return token


def connection_to(address: str) -> http.client.HTTPConnection:
    """To a server at ``http://``, ``https://`` or ``unix:``. Raises ``ConfigurationError`` for what is no address."""
    if address.startswith("unix:"):
        return _LocalConnection(address.removeprefix("unix:"))
    scheme, host, port = _parted(address)
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=PATIENCE)


def _parted(address: str) -> tuple[str, str, int | None]:
    try:
        url = urlsplit(address)
        if url.scheme in ("http", "https") and url.hostname and address.isprintable():
            url.hostname.encode("idna")  # As connecting to it will.
            return url.scheme, url.hostname, url.port
    except ValueError:  # A port that is none, or a name.
        pass
    raise ConfigurationError(f"{address!r} is no address of a server: give http://host:port, or unix:/path")


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)
