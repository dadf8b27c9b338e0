"""What a seed stands for: how large its world is, what its nodes are allowed, and how badly its store behaves."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import trio

from trialogue import AskingLimits, Backoff, BreakerLimits, LaneLimits, Limits

#: Whom to ask in whose place: one that goes on from a prefix, and those that begin anew.
FALLBACKS = {
    "steady:script": ("plain:script",),
    "plain:script": ("steady:script", "abrupt:script"),
    "abrupt:script": ("steady:script",),
}
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """Everything drawn from the seed before the world begins."""

    seed: int
    nodes: int
    conversations: int
    clients: int
    readers: int
    #: Virtual seconds of trouble.
    seconds: float
    #: Seconds between two commands of a client, on average.
    pace: float
    #: Longest way to the store, and back, in seconds.
    latency: float
    #: Share of store calls that fail or dawdle.
    share: float
    #: Whether the store now and then raises what no store should.
    bugs: bool
    limits: Limits
    #: Tokens that the owner of all may use.
    budget: int | None = None
    #: Tokens that the models can be shown: few where what was said is to be summed up.
    context: int = 8_192
    #: Whether the nodes know of each other.
    joined: bool = False
    #: Whether the store goes back once to what it was some time before.
    goes_back: bool = False

    @property
    def told(self) -> bool:
        """Whether a tail is told of everything, so that its readers need not look into the log by themselves."""
        return self.joined or self.nodes == 1

    def source(self, *name: object) -> random.Random:
        """A random source of its own for each actor, so that one that draws more does not change the others."""
        return random.Random("/".join(map(str, (self.seed, *name))))


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    source = random.Random(f"{seed}/plan")
    plan = Plan(
        seed=seed,
        nodes=source.choice((1, 1, 2)),
        conversations=source.randint(1, 3),
        clients=source.randint(2, 3),
        readers=source.randint(2, 4),
        seconds=source.uniform(8, 20),
        pace=source.choice((0.25, 0.7)),
        latency=source.choice((0.008, 0.008, 0.2)),
        share=source.choice((0.0, 0.01, 0.04, 0.1)),
        bugs=source.random() < 0.15,
        limits=Limits(
            buffer_tokens=source.choice((1, 5)),
            window=source.choice((0.0, 0.05)),
            stall=3.0,
            asking=_asking(source),
            fallbacks=FALLBACKS,
            failovers=source.choice((0, 1, 2)),
            run_seconds=8.0,
            run_characters=source.choice((120, 100_000)),
            pending_bytes=source.choice((600, 1_048_576)),
            mailbox=source.choice((3, 256)),
            idle=source.choice((1.5, 20.0)),
            recovery=source.choice(("continue", "continue", "end")),
            last_flush=2.0,
            generations=source.choice((2, 4)),
            approval=source.choice((2.0, 8.0)),
        ),
        budget=source.choice((None, None, 3_000)),
    )
    return _with_asides(plan, random.Random(f"{seed}/asides"))


def _with_asides(plan: Plan, source: random.Random) -> Plan:
    """Some have titles and summaries too; their source is another one, so that the others are as they would be without."""
    if source.random() < 0.7:
        return replace(plan, limits=msgspec.structs.replace(plan.limits, summaries=""))
    limits = msgspec.structs.replace(plan.limits, titles="same", summary_tokens=10, summary_share=0.6)
    return replace(plan, limits=limits, context=source.choice((190, 260)))


def draw_cluster(seed: int) -> Plan:
    """The plan of a seed for nodes that know of each other: as for others, and long enough for leases to end."""
    source = random.Random(f"{seed}/cluster")
    return replace(
        draw(seed),
        nodes=source.choice((2, 2, 3)),
        conversations=source.randint(1, 2),
        seconds=source.uniform(10, 25),
        pace=source.choice((0.4, 1.0)),
        bugs=False,
        joined=True,
        goes_back=source.random() < 0.3,
    )


def _asking(source: random.Random) -> AskingLimits:
    return AskingLimits(
        first_token=3.0,
        backoff=Backoff(retries=source.choice((0, 2)), first=0.2, longest=1.0, asked=1.0),
        breaker=BreakerLimits(window=10.0, failures=source.choice((3, 50)), rest=1.0, longest=4.0),
        lanes={"plain": LaneLimits(concurrency=source.choice((0, 1)))},
        wait=source.choice((2.0, 100.0)),
    )


def now() -> datetime:
    """The world's clock, for people."""
    return START + timedelta(seconds=trio.current_time())


def now_ms() -> int:
    """The world's clock, for ids."""
    return int(now().timestamp() * 1000)
