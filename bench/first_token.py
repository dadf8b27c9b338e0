"""How much later the first token comes because of us.

States: on an idle server the first token arrives at most 2 ms later than the provider's own time to it; with 100 streams
live at most 100 ms later at the 99th percentile. What the provider itself took is read off its stamp and taken away, and so
is what the load client and the loopback take without any server. The stub answers at once, which no model does; the figure
for one that takes 20 ms is given too. Two syncs of the disk lie in it, that of the message and that of the token, and a disk
that has rested takes longer: how long both kinds take here is given, and what a pass-through adds that keeps nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from tempfile import TemporaryFile

from bench.client import Account
from bench.load import open_load, open_stub, report, run_load
from bench.plan import Stream, prompt, request
from bench.results import Row
from bench.servers import Trialogue, open_reference, open_trialogue

NAME = "first_token"
#: A short answer: the first token is what is asked for.
PROBE = prompt(3, 50)
#: The same from an upstream that thinks for 20 ms first.
LATE_PROBE = prompt(3, 50, delay_ms=20)


def run(quick: bool = False) -> list[Row]:
    """Probe an idle and a busy server, one turn after the other."""
    # Turns in one conversation: its history grows with them, and what reading it costs is ``long``'s business.
    turns, talks = (10, 4) if quick else (20, 10)
    with open_stub() as stub:
        raw = run_load([_raw(stub.port, turns * talks)], 3)["added_ttft_ms"]["p50"]
        with open_reference(stub) as reference:
            passed = run_load([replace(one := reference.stream(PROBE), sends=one.sends * turns * talks)], 3)
        with open_trialogue(stub) as server:
            account = server.client().register()
            probes = server.client().create_conversations(account, 2 * talks + 10)
            idle = [_turns(server, account, one, PROBE, turns) for one in probes[10 : 10 + talks]]
            late = [_turns(server, account, one, LATE_PROBE, turns) for one in probes[10 + talks :]]
            probing = [server.stream(account, one, *[PROBE] * turns) for one in probes[:10]]
            conversations = server.client().create_conversations(account, 100)
            seconds = 8 if quick else 20
            words = prompt(50 * seconds, 50)
            busy = _probe_busy([server.stream(account, one, words) for one in conversations], probing, 50 * seconds)
    return [
        Row(NAME, "without a server, p50", raw, "ms"),
        Row(NAME, "one sync of this disk, p50", sync_seconds() * 1000, "ms"),
        Row(NAME, "the same after 20 ms of rest, p50", sync_seconds(0.02) * 1000, "ms"),
        Row(NAME, "pass-through that keeps nothing, added p50", passed["added_ttft_ms"]["p50"] - raw, "ms"),
        Row(NAME, "idle, added p50", median(one["p50"] for one in idle) - raw, "ms", "<= 2"),
        Row(NAME, "idle, added p50, upstream takes 20 ms", median(one["p50"] for one in late) - raw, "ms"),
        Row(NAME, "idle, added p99, worst conversation", max(one["p99"] for one in idle) - raw, "ms"),
        Row(NAME, "100 streams, added p50", busy["p50"] - raw, "ms"),
        Row(NAME, "100 streams, added p99", busy["p99"] - raw, "ms", "<= 100"),
    ]


def _turns(server: Trialogue, account: Account, conversation: str, words: str, turns: int) -> dict[str, float]:
    """One turn after the other in one conversation."""
    found: dict[str, float] = run_load([server.stream(account, conversation, *[words] * turns)], 3)["added_ttft_ms"]
    return found


def _probe_busy(background: Sequence[Stream], probes: Sequence[Stream], tokens: int) -> dict[str, float]:
    with open_load(background, tokens, ramp=1.0) as load:
        time.sleep(3)
        found: dict[str, float] = run_load(probes, 3, ramp=0.5)["added_ttft_ms"]
        report(load)
    return found


def sync_seconds(rest: float = 0) -> float:
    """How long a write of two pages takes until it is on the disk, at the median, one after the other or with rests."""
    times: list[float] = []
    with TemporaryFile(buffering=0) as file:
        for _ in range(200):
            time.sleep(rest)
            began = time.perf_counter()
            file.write(b"x" * 8192)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[100]


def _raw(port: int, turns: int) -> Stream:
    body = {"model": "stub", "stream": True, "messages": [{"role": "user", "content": PROBE}]}
    return Stream("h", port, (request("POST", "/v1/chat/completions", body),) * turns)
