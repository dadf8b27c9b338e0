"""``trialogue serve`` with a probe inside: on SIGUSR2, and at the end, figures go as JSON to the file $BENCH_PROBE names.

The figures are the engine's own statistics and the longest CPU time the loop took between two visits to its I/O. Nothing of
the product is changed: the probe is a Trio instrument, and the engine is noted as it is opened.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from trialogue import Engine, open_engine
from trialogue_server import serve
from trialogue_server.cli import main


class Probe(trio.abc.Instrument):
    """The longest step of the loop since the figures were last asked for."""

    def __init__(self, path: Path) -> None:
        self.engine: Engine | None = None
        self._path = path
        self._since = time.thread_time()
        self._longest = 0.0

    def after_io_wait(self, timeout: float) -> None:
        self._since = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        self._longest = max(self._longest, time.thread_time() - self._since)

    def write(self, *_: object) -> None:
        """Write the figures, whole or not at all, and begin anew."""
        figures = {"longest_step": self._longest, "engine": self.engine.statistics() if self.engine else None}
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(figures))
        draft.replace(self._path)
        self._longest = 0.0
        self._since = time.thread_time()  # What this took is no step of the server's.


def _noting(probe: Probe) -> Any:  # Any: stands in for open_engine, whatever its signature

    @asynccontextmanager
    async def noting(*args: Any, **options: Any) -> AsyncGenerator[Engine]:
        async with open_engine(*args, **options) as probe.engine:
            try:
                yield probe.engine
            finally:
                probe.engine = None  # Its clock stops with the loop.

    return noting


if __name__ == "__main__":
    probe = Probe(Path(os.environ["BENCH_PROBE"]))
    signal.signal(signal.SIGUSR2, probe.write)
    setattr(serve, "open_engine", _noting(probe))  # noqa: B010 - not ours to assign to
    setattr(trio, "run", partial(trio.run, instruments=[probe]))  # noqa: B010
    code = main(["serve"])
    probe.write()
    sys.exit(code)
