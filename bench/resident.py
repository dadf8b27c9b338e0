"""What it costs to know many conversations.

States: with 100,000 conversations known and 1,000 of them awake, a server needs at most 60 MB more than an empty one, and
while it stops, no step of its loop takes more than 50 ms.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import fill
from bench.client import Account
from bench.results import Row
from bench.servers import Trialogue

NAME = "resident"
#: One token, at once: what wakes a conversation.
WORDS = "[[tokens=1 rate=0]]"


def run(quick: bool = False) -> list[Row]:
    """Measure an empty server, fill its folder, start it again, wake some, and stop it."""
    known, awake = (5_000, 200) if quick else (100_000, 1_000)
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        server = Trialogue(Path(folder), {"OPENAI_API_KEY": "", "TRIALOGUE_DEFAULT_MODEL": "echo:echo"}, probed=True)
        try:
            account, owner, empty = _empty(server)
            ids = fill.conversations(Path(folder, "data"), owner, known)
            process = server.start()
            rested = process.rss_bytes()
            _wake(server, account, ids[:: known // awake][:awake])
            woken = process.rss_bytes()
            cells = server.figures()["engine"]["cells"]
            process.stop()
            step = server.last_figures()["longest_step"]
        finally:
            if server.process is not None:
                server.process.stop()
    return [
        Row(NAME, "conversations known", known, ""),
        Row(NAME, "conversations awake", sum(count for phase, count in cells.items() if phase != "idle"), ""),
        Row(NAME, "empty server", empty / 1e6, "MB"),
        Row(NAME, "more, none awake", (rested - empty) / 1e6, "MB"),
        Row(NAME, "more, some awake", (woken - empty) / 1e6, "MB", "<= 60"),
        Row(NAME, "longest step while stopping", step * 1000, "ms", "<= 50"),
    ]


def _empty(server: Trialogue) -> tuple[Account, str, int]:
    process = server.start()
    account = server.client().register()
    owner = server.client().me(account)
    # The same work as later, on one conversation, so that what is imported or cached at first use is not counted.
    _wake(server, account, server.client().create_conversations(account, 1))
    empty = process.rss_bytes()
    process.stop()
    server.probe.unlink(missing_ok=True)
    return account, owner, empty


def _wake(server: Trialogue, account: Account, conversations: list[str]) -> None:
    client = server.client()
    for conversation in conversations:
        client.must("POST", f"/api/conversations/{conversation}/messages", {"text": WORDS}, account.cookie)
