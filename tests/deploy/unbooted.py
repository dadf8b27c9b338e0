"""Runs inside a machine that was not booted: hears the service, which `stand_in` starts, and runs the bundle's checks."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from deploy import inside_bundle

STATE = Path("/run/stand-in")
#: What the service says, and where `stand_in` looks for it.
FILES = {"READY": "ready", "STATUS": "status", "MAINPID": "pid"}


def hear(notify: socket.socket) -> None:
    """Write down what is said, as long as somebody may say something."""
    while True:
        for line in notify.recv(65536).decode().splitlines():
            name, _, value = line.partition("=")
            if name in FILES:
                fresh = STATE / f"{FILES[name]}.new"
                fresh.write_text(value)
                fresh.replace(STATE / FILES[name])


def main() -> None:
    STATE.mkdir(parents=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(STATE / "notify"))
    os.chmod(STATE / "notify", 0o666)
    threading.Thread(target=hear, args=(notify,), daemon=True).start()
    inside_bundle.main()


if __name__ == "__main__":
    main()
