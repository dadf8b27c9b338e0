"""What an MCP server writes into its standard error, in our log: line by line, within bounds, without secrets of ours."""

from __future__ import annotations

import logging

import trio

from trialogue_mcp._lines import Lines
from trialogue_mcp._specs import McpServer

#: Characters of a line, and lines in a minute; the rest is counted.
LENGTH, PER_MINUTE = 500, 60

_log = logging.getLogger("trialogue.mcp")


def masked(server: McpServer, text: str) -> str:
    """``text`` without the secrets that the server was given."""
    for secret in server.secrets:
        text = text.replace(secret, "***")
    return text


class Saying:
    """Logs what one server says."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._minute = float("-inf")
        self._said = 0
        self._left_out = 0

    def say(self, text: str) -> None:
        """Log a line, if there is room for it this minute."""
        now = trio.current_time()
        if now - self._minute >= 60:
            self.tell_rest()
            self._minute, self._said = now, 0
        self._said += 1
        if self._said > PER_MINUTE:
            self._left_out += 1
            return
        line = "".join(c if c.isprintable() else " " for c in masked(self._server, text)).strip()
        if line:
            _log.info("%s: %s", self._server.name, line if len(line) <= LENGTH else f"{line[:LENGTH]}…")

    def tell_rest(self) -> None:
        """Say how many lines were left out."""
        if self._left_out:
            _log.info("%s: %d more lines left out", self._server.name, self._left_out)
            self._left_out = 0

    async def listen(self, stream: trio.abc.ReceiveStream) -> None:
        """Log all that comes, until its end."""
        lines = Lines(stream, 8 * 1024)
        try:
            while (line := await lines.next()) is not None:
                self.say(line.text.decode(errors="replace"))
        except trio.BrokenResourceError:
            pass
        finally:
            self.tell_rest()
