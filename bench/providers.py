"""What reading a token from an upstream costs, by our providers and by the SDKs they stand on.

States: at 50 streams of 50 tokens a second, and flat out, each provider takes at most half the CPU time per token that
iterating its SDK's own stream takes. Ours is paced as a run paces it, which the SDK's iteration has no place for; flat out
nobody is paced. Both are asked by the same loop, one after the other, and only the time of the answers counts.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from bench.load import Stub, open_stub
from bench.processes import SERVER_CPU, spawn
from bench.results import Row

NAME = "providers"


def run(quick: bool = False) -> list[Row]:
    """Measure each way in a process of its own."""
    rows: list[Row] = []
    rounds = 1 if quick else 3
    with open_stub() as stub:
        for way in ("openai", "responses", "anthropic"):
            rows += _compare(stub, way, "50 streams", 50, 200 if quick else 500, 50.0, rounds)
            rows += _compare(stub, way, "flat out", 4, 2_000 if quick else 10_000, 0, rounds)
    return rows


def _compare(stub: Stub, way: str, words: str, streams: int, tokens: int, rate: float, rounds: int) -> list[Row]:
    pairs = [
        (_cost(stub, way, "ours", streams, tokens, rate), _cost(stub, way, "sdk", streams, tokens, rate))
        for _ in range(rounds)
    ]
    ours, theirs = (median(values) for values in zip(*pairs, strict=True))
    return [
        Row(NAME, f"{way}, {words}, the SDK", theirs, "us/token"),
        Row(NAME, f"{way}, {words}, ours", ours, "us/token"),
        Row(NAME, f"{way}, {words}, ratio", ours / theirs, "x", "<= 0.5"),
    ]


def _cost(stub: Stub, way: str, whose: str, streams: int, tokens: int, rate: float) -> float:
    words = [sys.executable, "-m", "bench.asking", way, whose, stub.url, str(streams), str(tokens), str(rate)]
    process = spawn(words, SERVER_CPU, stdout=subprocess.PIPE)
    try:
        return float(process.communicate(timeout=120)[0])
    finally:
        process.kill()
