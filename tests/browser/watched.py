"""What pages report to the console: the errors a test has no reason to expect fail it."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, ConsoleMessage


class Watched:
    """The errors that pages report, and those of them a test expects."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        #: Of an address that was refused. Asking who one is, and being nobody, is how every first visit begins.
        self.expected: list[str] = [r"401 .*/api/auth/me$"]

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page of ``context``."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(f"uncaught: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} at {message.location['url']}")

    def check(self) -> None:
        """Fail if anything was reported that was not expected."""
        left = [error for error in self.errors if not any(re.search(one, error) for one in self.expected)]
        assert left == []
