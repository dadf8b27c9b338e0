"""The server under test: a real one, in a process of its own, over a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


class Server:
    """``trialogue serve`` over a data folder; it can be killed and started again on the same port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._log = (folder / "server.log").open("ab")
        self._settings = {
            "TRIALOGUE_DATA_DIR": str(folder / "data"),
            "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
            # A model at work beside each server is no help to tests of something else.
            "TRIALOGUE_EMBEDDER": "none",
            **{f"TRIALOGUE_{name.upper()}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        #: The cookies of the users that tests signed in as, by name.
        self.sessions: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", "trialogue_server", "serve", "--port", str(self.port)]

    def start(self) -> None:
        """Start it, and return when it says that it serves."""
        self.process = subprocess.Popen(
            self.command(),
            cwd=self._folder,  # Away from any configuration file of the developer's.
            env={**_environment(), **self._settings},
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # As a service, and not as something in whoever's terminal.
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        """What it has written to standard error so far."""
        return (self._folder / "server.log").read_text()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended, which it must within ``seconds``."""
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(seconds)
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()

    def close(self) -> None:
        """End it for good. What it would still have to write goes with its folder."""
        self.kill()
        self._log.close()


def _environment() -> dict[str, str]:
    """What it has of ours: not what is said to tests, which is no setting of its."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRIALOGUE_TEST_")}
