"""What a reader costs: events are encoded once, and go to 500 readers of a conversation as the same bytes.

States: with 500 readers one event costs the server at most 20 microseconds of CPU time for each of them. Measured as the
difference between the same answer with 500 readers and with none.
"""

from __future__ import annotations

import time

from bench.client import Account
from bench.load import open_load, open_stub
from bench.plan import Stream, prompt, request
from bench.results import Row
from bench.servers import MODEL, Trialogue, open_trialogue

NAME = "streams"
READERS = 500


def run(quick: bool = False) -> list[Row]:
    """One answer of 50 tokens a second, without readers and with."""
    seconds = 5 if quick else 15
    with open_stub() as stub, open_trialogue(stub) as server:
        account = server.client().register()
        alone, watched = server.client().create_conversations(account, 2)
        base, _ = _answer(server, account, alone, seconds)
        readers = [_reader(server, account, watched) for _ in range(READERS)]
        with open_load(readers, 1, hold=seconds + 25) as load:
            time.sleep(8)  # Eight connections are opened every 8 ms, and each gets its snapshot.
            cost, events = _answer(server, account, watched, seconds)
            load.terminate()
    return [
        Row(NAME, "events of the answer", events, ""),
        Row(NAME, "CPU without readers", base, "s"),
        Row(NAME, f"CPU with {READERS} readers", cost, "s"),
        Row(NAME, "per event and reader", (cost - base) / events / READERS * 1e6, "us", "<= 20"),
    ]


def _reader(server: Trialogue, account: Account, conversation: str) -> Stream:
    headers = {"Cookie": account.cookie, "Accept": "text/event-stream"}
    opening = request("GET", f"/api/conversations/{conversation}/events", None, headers)
    return Stream("s", server.port, (b" ",), opening)


def _answer(server: Trialogue, account: Account, conversation: str, seconds: int) -> tuple[float, int]:
    """CPU seconds of one answer, and the events it made."""
    assert server.process is not None
    client, path = server.client(), f"/api/conversations/{conversation}"
    before, spent = client.must("GET", path, None, account.cookie)["seq"], server.process.cpu_seconds()
    body = {"text": prompt(50 * seconds, 50), "model": MODEL}
    client.must("POST", f"{path}/messages", body, account.cookie)
    time.sleep(seconds + 1)
    spent = server.process.cpu_seconds() - spent
    snapshot = client.must("GET", path, None, account.cookie)
    if snapshot["run"] is not None:
        raise RuntimeError("the answer took too long")
    return spent, snapshot["seq"] - before
