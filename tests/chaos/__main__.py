"""Chaos for as long as one likes: ``make chaos ARGS="--faults 1000 --seed 7"``. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parents[2]))  # For `bench`, whose clients and checker are used.


def main() -> int:
    """Play, and tell."""
    from chaos.clock import MovingClock
    from chaos.play import play

    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--talks", type=int, default=4, help="conversations that go on meanwhile")
    parser.add_argument("--pause", type=float, default=30.0, help="the longest that a node stands still, in seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--keep", type=Path, help="folder for the logs of conversations with which something was wrong")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    began, clock = time.monotonic(), MovingClock()

    async def run() -> int:
        outcome = await play(
            options.seed, options.faults, nodes=options.nodes, talks=options.talks, longest_pause=options.pause
        )
        seconds = time.monotonic() - began
        print(outcome, f"({seconds:.0f} s, of which the machine stood still for {clock.stood_still:.0f})", sep="\n")
        if options.keep and outcome.logs:
            options.keep.mkdir(parents=True, exist_ok=True)
            for name, log in outcome.logs.items():
                (options.keep / f"{name}.log").write_text(log)
        return int(bool(outcome.problems))

    return trio.run(run, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
