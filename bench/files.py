"""What it takes to send a large file up and down again.

States: a file of 1 GB goes up in one form and comes down again while the server's memory grows by at most 64 MB. How fast is
told beside a plain copy of as much on the same disk, made durable as an upload is, in the same run.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.client import Account
from bench.processes import Process
from bench.results import Row
from bench.servers import Trialogue

NAME = "files"
PIECE = 1024 * 1024
_BOUNDARY = "bench"
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'.encode(),
    f"\r\n--{_BOUNDARY}--\r\n".encode(),
)


def run(quick: bool = False) -> list[Row]:
    """One file up, down, and copied."""
    pieces = 128 if quick else 1024
    with TemporaryDirectory(prefix="trialogue-bench-") as name:
        server = Trialogue(Path(name), {})
        try:
            process = server.start()
            account = server.client().register()
            copied = _copy(Path(name), pieces)
            with _watched(process) as up:
                file = _upload(server.port, account, pieces)
            with _watched(process) as down:
                digest = _download(server.port, account, file["id"])
        finally:
            if server.process is not None:
                server.process.stop()
    if digest != file["sha256"]:
        raise RuntimeError("what came down is not what went up")
    size = pieces * PIECE / 1e6
    return [
        Row(NAME, "size", size, "MB"),
        Row(NAME, "memory grown, up", up["grown"] / 1e6, "MB", "<= 64"),
        Row(NAME, "memory grown, down", down["grown"] / 1e6, "MB", "<= 64"),
        Row(NAME, "up", size / up["seconds"], "MB/s"),
        Row(NAME, "down", size / down["seconds"], "MB/s"),
        Row(NAME, "plain copy with a digest, durable", size / copied, "MB/s"),
        Row(NAME, "up / plain copy", copied / up["seconds"], ""),
        Row(NAME, "down / plain copy", copied / down["seconds"], ""),
        Row(NAME, "up, CPU of the server", up["cpu"] / size * 1e3, "s/GB"),
        Row(NAME, "down, CPU of the server", down["cpu"] / size * 1e3, "s/GB"),
    ]


@contextmanager
def _watched(process: Process) -> Generator[dict[str, float]]:
    """Time, CPU time and the growth of memory, at its highest, of what is done in the block."""
    found: dict[str, float] = {}
    before, spent, began = process.rss_bytes(), process.cpu_seconds(), time.monotonic()
    most, over = before, threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, process.rss_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
    found |= {"seconds": time.monotonic() - began, "cpu": process.cpu_seconds() - spent, "grown": most - before}


def _content(pieces: int) -> Iterator[bytes]:
    """Pieces that differ, so that nothing is saved by their being alike."""
    block = os.urandom(PIECE)
    for number in range(pieces):
        yield number.to_bytes(8) + block[8:]


def _upload(port: int, account: Account, pieces: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    length = pieces * PIECE + sum(map(len, _HEAD))
    headers = {
        "Cookie": account.cookie,
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(length),
    }

    def body() -> Iterator[bytes]:
        yield _HEAD[0]
        yield from _content(pieces)
        yield _HEAD[1]

    connection.request("POST", "/api/upload", body(), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"the upload was answered {answer.status}: {data!r}")
    found: dict[str, Any] = json.loads(data)["files"][0]
    return found


def _download(port: int, account: Account, file: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("GET", f"/api/files/{file}", headers={"Cookie": account.cookie})
    answer = connection.getresponse()
    digest = hashlib.sha256()
    while piece := answer.read(PIECE):
        digest.update(piece)
    connection.close()
    return digest.hexdigest()


def _copy(folder: Path, pieces: int) -> float:
    """Seconds to copy as much from file to file, with its digest, until it is durable."""
    source, target = folder / "source", folder / "target"
    with source.open("wb") as file:
        for piece in _content(pieces):
            file.write(piece)
    began = time.monotonic()
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(PIECE):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    seconds = time.monotonic() - began
    source.unlink()
    target.unlink()
    return seconds
