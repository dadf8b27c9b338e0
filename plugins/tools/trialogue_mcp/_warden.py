"""The process between us and an MCP server: it starts the server, and sees to it that nothing of it outlives us.

Run as a script, without our package: ``_warden.py FD PATIENCE COMMAND...``. The other end of the socket ``FD`` is ours and
closes when we do, however we end. The server then gets SIGTERM, with everything that it has started and that has stayed
in its process group, and SIGKILL ``PATIENCE`` seconds later. Standard input, output and error are the server's own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys


def main() -> int:
    """Run the command; its exit code."""
    control, patience, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    try:
        process = subprocess.Popen(command, process_group=0)
    except OSError as error:
        print(f"{command[0]!r} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    # Ours would keep the server's pipes open when it has closed them itself.
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    ended = os.pidfd_open(process.pid)
    watched = select.poll()
    watched.register(control, select.POLLIN)
    watched.register(ended, select.POLLIN)
    if not any(descriptor == ended for descriptor, _ in watched.poll()):
        _signal(process.pid, signal.SIGTERM)
        only = select.poll()
        only.register(ended, select.POLLIN)
        only.poll(patience * 1000)
    # What it has started goes with it, also when it has ended by itself.
    _signal(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    # Without flushing what has been closed.
    os._exit(main())
