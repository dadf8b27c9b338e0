"""What durability costs the reader: nothing of the rate, and a few milliseconds.

States: with every event on the disk before anyone sees it, 100 streams of 50 tokens a second on one processor are delivered
at 99 % of the rate the provider gives; the gate, from an event's making to its commit, takes at most 5 ms at the median and
50 ms at the 99th percentile. End to end the provider's stamp in each token is compared with its arrival at the client: that
includes the window in which tokens wait for one another, 50 ms by default.
"""

from __future__ import annotations

from bench.load import open_stub, run_load
from bench.plan import Stream, prompt, request
from bench.results import Row
from bench.servers import open_trialogue

NAME = "durability"
RATE = 50.0


def run(quick: bool = False) -> list[Row]:
    """Compare the length of a turn with and without the server in between, and read the gate's own figures."""
    count, seconds = (100, 5) if quick else (100, 20)
    tokens = int(RATE * seconds)
    words = prompt(tokens, RATE)
    with open_stub() as stub:
        raw = run_load([_raw(stub.port, words) for _ in range(count)], tokens)
        with open_trialogue(stub, probed=True) as server:
            account = server.client().register()
            conversations = server.client().create_conversations(account, count)
            ours = run_load([server.stream(account, one, words) for one in conversations], tokens)
            gate = server.figures()["engine"]["flusher"]
    delay = ours["token_delay_ms"]
    return [
        Row(NAME, "delivered rate / provider's rate, mean", _share(raw, ours, "mean"), "", ">= 0.99"),
        Row(NAME, "delivered rate / provider's rate, slowest stream", _share(raw, ours, "max"), ""),
        Row(NAME, "gate, p50", gate["gate_p50"] * 1000, "ms", "<= 5"),
        Row(NAME, "gate, p99", gate["gate_p99"] * 1000, "ms", "<= 50"),
        Row(NAME, "token to client, p50", delay["p50"], "ms"),
        Row(NAME, "token to client, p99", delay["p99"], "ms"),
        Row(NAME, "same without a server, p99", raw["token_delay_ms"]["p99"], "ms"),
        Row(NAME, "commits a second", gate["commits"] / seconds, "1/s"),
        Row(NAME, "entries in a commit", gate["entries"] / max(gate["commits"], 1), ""),
    ]


def _share(raw: dict[str, dict[str, float]], ours: dict[str, dict[str, float]], key: str) -> float:
    return raw["turn_ms"][key] / ours["turn_ms"][key]


def _raw(port: int, words: str) -> Stream:
    body = {"model": "stub", "stream": True, "messages": [{"role": "user", "content": words}]}
    return Stream("h", port, (request("POST", "/v1/chat/completions", body),))
