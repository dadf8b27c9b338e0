"""A script that Redis runs at one moment, named by its hash."""

from __future__ import annotations

import hashlib


class Script:
    """``text`` in Lua."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.digest[:8]}>"
