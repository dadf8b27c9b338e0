"""The child process that reads one file: takes its bounds, calls the extractor's function, writes what it found, ends.

Run as a program: standard input is the file, standard output takes the answer in MessagePack. It imports nothing of the
server, whose secrets are not in its environment either.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
from typing import Any

#: Descriptors it may open, and the longest file it may write: none are needed, libraries may want some.
DESCRIPTORS, WRITTEN = 64, 16 * 1024 * 1024


def bound(seconds: int, memory: int) -> None:
    """Have the system end the process when it takes too much, whatever becomes of its parent."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(seconds * 4)
    os.nice(10)


def inspect(
    function: str, characters: int
) -> dict[str, Any]:  # Any: as the function returns it, checked by the parent.
    """What the function found, with its text bounded and made writable."""
    module, _, name = function.partition(":")
    try:
        with open(0, "rb", closefd=False) as source:
            found: dict[str, Any] = getattr(importlib.import_module(module), name)(source, characters)
    except ValueError as error:
        return {"failed": str(error)[:300] or "it cannot be read"}
    except MemoryError:
        return {"failed": "reading it takes more memory than is allowed"}
    text = found.get("text")
    if text is not None:
        clean = text[: 2 * characters + 1].replace("\x00", "").encode(errors="replace").decode()
        found["text"] = clean[:characters]
        if len(clean) > characters:
            found.setdefault("detail", f"only its first {characters} characters were read")
    return found


def main() -> None:
    """Read the arguments, and answer."""
    function, seconds, memory, characters = sys.argv[1:]
    bound(int(seconds), int(memory))
    import msgspec

    # What an extractor prints is not an answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    data = msgspec.msgpack.encode(inspect(function, int(characters)))
    with open(answer, "wb") as out:
        out.write(data)


if __name__ == "__main__":
    main()
