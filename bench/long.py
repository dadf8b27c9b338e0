"""What a turn costs in a long conversation: what its context holds, not what was ever said.

States: a turn in a conversation of 10,000 messages costs at most 1.2 times the CPU and wall time of one in a conversation of
10, where the messages are so long that the model's context holds about ten. With short messages the context holds hundreds
of them, and then it is they that cost: that figure is given too, for information.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import fill
from bench.client import Account
from bench.load import open_stub, run_load
from bench.plan import prompt
from bench.results import Row
from bench.servers import Trialogue

NAME = "long"
#: With three code points to a token and three quarters of 32,768 tokens for history, ten or so fill the context.
LONG = "What was said at length. " * 260
SHORT = "What was said."


def run(quick: bool = False) -> list[Row]:
    """Fill a folder with short and long conversations, and hold turns in each."""
    most = 1_000 if quick else 10_000
    turns = 20 if quick else 100
    with TemporaryDirectory(prefix="trialogue-bench-") as folder, open_stub() as stub:
        server = Trialogue(Path(folder), {"OPENAI_BASE_URL": stub.url})
        try:
            server.start()
            account = server.client().register()
            owner = server.client().me(account)
            assert server.process is not None
            server.process.stop()
            data = Path(folder, "data")
            ids = fill.messages(data, owner, (10, most), LONG) + fill.messages(data, owner, (10, most), SHORT)
            server.start()
            costs = [_turns(server, account, one, turns) for one in ids]
        finally:
            if server.process is not None:
                server.process.stop()
    (few_cpu, few_wall), (many_cpu, many_wall), (short_cpu, _), (shorts_cpu, _) = costs
    return [
        Row(NAME, "turn after 10 messages, CPU", few_cpu, "ms"),
        Row(NAME, f"turn after {most} messages, CPU", many_cpu, "ms"),
        Row(NAME, "CPU, ratio", many_cpu / few_cpu, "x", "<= 1.2"),
        Row(NAME, "wall time, ratio of medians", many_wall / few_wall, "x", "<= 1.2"),
        Row(NAME, "CPU, ratio where the context holds hundreds", shorts_cpu / short_cpu, "x"),
    ]


def _turns(server: Trialogue, account: Account, conversation: str, turns: int) -> tuple[float, float]:
    """CPU milliseconds of a turn, and the median of its wall time."""
    assert server.process is not None
    words = prompt(20, 0)
    run_load([server.stream(account, conversation, *[words] * 3)], 20)
    spent = server.process.cpu_seconds()
    found = run_load([server.stream(account, conversation, *[words] * turns)], 20)
    return (server.process.cpu_seconds() - spent) / turns * 1000, found["turn_ms"]["p50"]
