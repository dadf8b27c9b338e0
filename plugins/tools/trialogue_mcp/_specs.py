"""Which MCP servers there are: a TOML file with a table for each, named as its tools' names begin.

    [files]
    command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/shared"]

    [tickets]
    url = "https://tickets.example.org/mcp"
    headers = { Authorization = "Bearer ${TICKETS_TOKEN}" }
    tools = ["find", "read"]
    approval = "hints"

``${NAME}`` in ``env``, ``headers`` and ``url`` is a variable of the process, so that secrets need not stand in the file. No
value of these is ever logged or shown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trialogue import ConfigurationError

_NAME = re.compile("[a-zA-Z0-9-]{1,24}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class McpServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server: a ``command`` that speaks over its standard input and output, or a ``url``."""

    name: str = ""
    #: What came from variables of the process, whatever the file says.
    from_variables: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    #: Variables of the command beside a few harmless ones (PATH, HOME, ...); it gets nothing else of our environment.
    env: dict[str, str] = {}
    folder: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    #: Only these tools of it, by its own names; ``None`` is all.
    tools: tuple[str, ...] | None = None
    #: Whether a person is asked before a call: always, never, or but for tools that the server says only read.
    approval: Literal["ask", "never", "hints"] = "ask"
    #: Seconds for one call, and for opening a connection with the list of its tools.
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    start_timeout: Annotated[float, Meta(gt=0, le=600)] = 30.0
    #: Bytes of one message from it, which is decoded in the loop. What is longer is not kept.
    message_bytes: Annotated[int, Meta(ge=1024, le=64 * 1024**2)] = 1024**2

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in a log, longest first; what is too short to be a secret is not worth hiding."""
        values = {*self.from_variables, *self.env.values(), *self.headers.values()}
        # A header's secret stands behind a word such as Bearer.
        values |= {word for value in self.headers.values() for word in value.split()}
        return tuple(sorted((one for one in values if len(one) >= 8), key=len, reverse=True))

    def __repr__(self) -> str:
        return f"<McpServer {self.name!r} over {'stdio' if self.command else 'http'}>"


def read_specs(file: Path, environment: Mapping[str, str]) -> list[McpServer]:
    """The servers in the file. Raises ``ConfigurationError``, whose words hold no value of a secret."""
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))  # Any: what the operator wrote.
    except OSError as error:
        raise ConfigurationError(f"TRIALOGUE_MCP_FILE: {str(file)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"TRIALOGUE_MCP_FILE: {str(file)!r} is not TOML: {error}") from error
    return [_spec(file, name, table, environment) for name, table in tables.items()]


def _spec(file: Path, name: str, table: object, environment: Mapping[str, str]) -> McpServer:
    where = f"{file}: [{name}]"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{where}: letters, digits and hyphens make the name of a server, 24 at most")
    try:
        spec = msgspec.convert(table, McpServer)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    if bool(spec.command) == bool(spec.url):
        raise ConfigurationError(f"{where}: give either a command or a url")
    if spec.url and not re.match(r"https?://[^/\s]", spec.url):
        raise ConfigurationError(f"{where}: url begins with http:// or https://")

    def filled(text: str) -> str:
        return _VARIABLE.sub(lambda found: _value(where, found[1], environment), text)

    texts = (spec.url or "", *spec.env.values(), *spec.headers.values())
    return msgspec.structs.replace(
        spec,
        name=name,
        from_variables=tuple(_value(where, one, environment) for text in texts for one in _VARIABLE.findall(text)),
        url=filled(spec.url) if spec.url else None,
        env={key: filled(value) for key, value in spec.env.items()},
        headers={key: filled(value) for key, value in spec.headers.items()},
    )


def _value(where: str, name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value is None:
        raise ConfigurationError(f"{where}: there is no variable {name} in the environment")
    return value
