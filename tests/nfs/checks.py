"""Runs inside the machine, as its root: all checks in their order; its second serial port says what came of each."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path

from nfs import broken_checks, refused_checks, shared_checks, unit_checks
from nfs.shares import NOTES, run

CHECKS = (*shared_checks.CHECKS, *broken_checks.CHECKS, *refused_checks.CHECKS, *unit_checks.CHECKS)
RESULTS = Path("/dev/ttyS1")


def main() -> None:
    """All of them, whatever came of the ones before."""
    run("stty", "-F", str(RESULTS), "raw")
    for check in CHECKS:
        NOTES.clear()
        print(f"-> {check.__name__}", flush=True)
        began = time.monotonic()
        try:
            check()
            result = "ok"
        except Exception:
            result = f"{traceback.format_exc()}\n{_traces()}"
            print(result, flush=True)
        said = {"name": check.__name__, "seconds": round(time.monotonic() - began, 1), "notes": NOTES, "result": result}
        with RESULTS.open("w") as file:
            print(json.dumps(said), file=file, flush=True)


def _traces() -> str:
    """What the nodes, the service and the kernel said last."""
    logs = [f"{path}:\n{path.read_text()[-2000:]}" for path in Path("/var/log").glob("node-*.log")]
    journal = run("journalctl", "-n", "25", "--no-pager", check=False)
    return "\n".join([*logs, f"the journal:\n{journal}"])


if __name__ == "__main__":
    main()
