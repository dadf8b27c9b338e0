"""What a streamed token costs the server, against a pass-through that keeps nothing.

States: at 50 streams of 50 tokens a second Trialogue, with every event durable before it is shown, uses at most half the
CPU time per token of a Starlette pass-through on uvicorn with uvloop; per token it gets cheaper with more streams; and
flat out a second of CPU time delivers at least twice the pass-through's tokens. (Delivered rates flat out are bounded by
the stub and the load client, which share the other processor, so it is the CPU time that is compared.)

Paced figures are taken in a window in the middle, when all streams are live: CPU time of the server process between two
moments, by the tokens that the stub sent between them. A server that is kept from running finds more to do at once and looks
cheaper: so both are measured in turn, and the share of the processor that others took is given. Above a few per cent the
figures say little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.load import Stub, open_load, open_stub, report
from bench.plan import Stream, prompt
from bench.processes import Process, busy_seconds
from bench.results import Row
from bench.servers import open_reference, open_trialogue

RATE = 50.0
NAME = "passthrough"


class Flat(NamedTuple):
    """Tokens a second delivered, and tokens per second of the server's CPU time."""

    delivered: float
    per_cpu_second: float


def run(quick: bool = False) -> list[Row]:
    """Measure both servers at each number of streams."""
    counts = (50,) if quick else (50, 100, 200)
    rows: list[Row] = []
    ours: list[Paced] = []
    theirs: list[Paced] = []
    with open_stub() as stub, open_reference(stub) as reference, open_trialogue(stub) as server:
        account = server.client().register()
        conversations = iter(server.client().create_conversations(account, sum(counts) + FLAT_STREAMS))

        def stream(words: str) -> Stream:
            return server.stream(account, next(conversations), words)

        assert server.process is not None
        for count in counts:
            theirs.append(paced(stub, reference.process, reference.stream, count, quick))
            ours.append(paced(stub, server.process, stream, count, quick))
        their_flat = flat_out(reference.process, reference.stream, quick)
        our_flat = flat_out(server.process, stream, quick)
    for count, mine, other in zip(counts, ours, theirs, strict=True):
        rows += _compare(count, mine, other)
    for before, after, first, second in zip(ours, ours[1:], counts, counts[1:], strict=False):
        rows.append(
            Row(NAME, f"cost per token at {second} streams / at {first}", after.cost / before.cost, "x", "<= 1")
        )
    rows += [
        Row(NAME, "flat out, pass-through, delivered", their_flat.delivered, "tokens/s"),
        Row(NAME, "flat out, Trialogue, delivered", our_flat.delivered, "tokens/s"),
        Row(NAME, "flat out, pass-through", their_flat.per_cpu_second, "tokens/CPU s"),
        Row(NAME, "flat out, Trialogue", our_flat.per_cpu_second, "tokens/CPU s"),
        Row(NAME, "flat out, ratio", our_flat.per_cpu_second / their_flat.per_cpu_second, "x", ">= 2"),
    ]
    return rows


def _compare(count: int, mine: Paced, other: Paced) -> list[Row]:
    target = "<= 0.5" if count == 50 else ""
    return [
        Row(NAME, f"{count} streams, pass-through", other.cost, "us/token"),
        Row(NAME, f"{count} streams, Trialogue", mine.cost, "us/token"),
        Row(NAME, f"{count} streams, ratio", mine.cost / other.cost, "x", target),
        Row(NAME, f"{count} streams, others on the processor", max(mine.disturbed, other.disturbed) * 100, "%"),
    ]


class Paced(NamedTuple):
    """Microseconds of server CPU per token, and the share of its processor that others took meanwhile."""

    cost: float
    disturbed: float


def paced(stub: Stub, process: Process, stream: Callable[[str], Stream], count: int, quick: bool) -> Paced:
    """What a token costs while ``count`` streams run at 50 tokens a second."""
    seconds = 6 if quick else 14
    tokens = int(RATE * seconds)
    streams = [stream(prompt(tokens, RATE)) for _ in range(count)]
    with open_load(streams, tokens, ramp=1.0) as load:
        _wait_for_tokens(stub, stub.tokens() + count * int(RATE * 1.5))
        spent, sent, busy, at = process.cpu_seconds(), stub.tokens(), busy_seconds(), time.monotonic()
        time.sleep(seconds - 3.5)
        spent, sent, busy = process.cpu_seconds() - spent, stub.tokens() - sent, busy_seconds() - busy
        disturbed = (busy - spent) / (time.monotonic() - at)
        report(load)
    return Paced(spent / sent * 1e6, disturbed)


def _wait_for_tokens(stub: Stub, target: int) -> None:
    deadline = time.monotonic() + 30
    while stub.tokens() < target:
        if time.monotonic() > deadline:
            raise RuntimeError("the streams did not start")
        time.sleep(0.02)


#: Enough to keep a processor busy, few enough for the stub to keep up with.
FLAT_STREAMS = 16


def flat_out(process: Process, stream: Callable[[str], Stream], quick: bool) -> Flat:
    """Tokens a second when the upstream sends as fast as it is read."""
    tokens = 5_000 if quick else 20_000
    streams: Sequence[Stream] = [stream(prompt(tokens, 0)) for _ in range(FLAT_STREAMS)]
    spent = process.cpu_seconds()
    with open_load(streams, tokens, ramp=0.05) as load:
        found = report(load)
    return Flat(found["tokens_per_s"], found["tokens"] / (process.cpu_seconds() - spent))
