"""How long it takes until the command line answers, and until a server serves.

States: ``trialogue --help`` takes at most 0.5 s, and a server with all plugins serves within 2 s. Both are the time of a
processor, which is the time that passes where nobody else wants it; the best of some rounds counts. Beside it stands what
it takes with a key for each vendor: their lists of models are asked for before anybody is served, and with them comes the
import of their SDKs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import open_stub
from bench.results import Row
from bench.servers import Trialogue

NAME = "starting"


def run(quick: bool = False) -> list[Row]:
    """Measure both, each in processes of its own."""
    rounds = 2 if quick else 5
    with open_stub() as stub:
        every = {
            "OPENAI_API_KEY": "sk",
            "OPENAI_BASE_URL": stub.url,
            "ANTHROPIC_API_KEY": "sk",
            "ANTHROPIC_BASE_URL": stub.url.removesuffix("/v1"),
        }
        keyed = min(_serving(every) for _ in range(rounds))
    served = min(_serving({"OPENAI_API_KEY": ""}) for _ in range(rounds))
    helped = min(_helping() for _ in range(rounds))
    return [
        Row(NAME, "trialogue --help", helped, "s", "<= 0.5"),
        Row(NAME, "a server with all plugins", served, "s", "<= 2"),
        Row(NAME, "and with a key for each vendor", keyed, "s"),
    ]


def _helping() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "trialogue_server", "--help"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _serving(environment: dict[str, str]) -> float:
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        server = Trialogue(Path(folder), environment)
        process = server.start()
        try:
            return process.cpu_seconds()
        finally:
            process.stop()
