"""Run benchmarks by name, all by default: ``python -m bench [--quick] [NAME ...]``. ``bench/run`` sets up first."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from bench.results import Row, show, write

NAMES = (
    "passthrough",
    "durability",
    "first_token",
    "providers",
    "stopping",
    "streams",
    "sockets",
    "readers",
    "resident",
    "starting",
    "long",
    "prefix",
    "search",
    "usage",
    "exchange",
    "files",
    "postgres",
    "sessions",
    "pressure",
    "kills",
    "upgrades",
    "rolling",
    "starts",
    "cluster",
    "scaling",
    "keeping",
)

#: Run only when it is named: it takes as long as one likes.
ALONE = ("soak",)


def main() -> int:
    """Run them one after the other; 1 when one failed or missed a target."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    names = (*NAMES, *ALONE)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*names, []], help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="shorter runs: a smoke test, not figures to quote")
    parser.add_argument("--rounds", type=int, help="of kills")
    parser.add_argument("--minutes", type=float, help="of soak")
    options = parser.parse_args()
    rows: list[Row] = []
    failed = False
    for name in options.names or NAMES:
        began = time.monotonic()
        extra = {"rounds": options.rounds} if name == "kills" and options.rounds else {}
        extra |= {"minutes": options.minutes} if name == "soak" and options.minutes else {}
        try:
            found: list[Row] = import_module(f"bench.{name}").run(options.quick, **extra)
        except Exception:
            traceback.print_exc()
            failed = True
            continue
        print(show(found), f"({time.monotonic() - began:.0f} s)\n", sep="\n", flush=True)
        rows += found
    print("written:", write(rows, Path(__file__).parent / "results"))
    return int(failed or any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
