"""Inside the machine: the folder that its kernel exports, and the hosts that mount it, each by a network of its own.

A host is a network namespace with a cable of its own to the server, so that it can be cut off alone; what it mounts is seen
by every process, at ``/srv/NAME``, and is asked for over its cable, by a client of its own.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

EXPORT = Path("/srv/export")
#: As deploy/systemd/var-lib-trialogue-files.mount has them; patience is shorter, so that a test is.
OPTIONS = "vers=4.2,proto=tcp,hard,timeo=50,retrans=2,lookupcache=positive,actimeo=5,nosuid,nodev,noexec"
NOTES: list[str] = []


def note(text: str) -> None:
    """Have it told outside, with the check it belongs to."""
    NOTES.append(text)


def run(*words: str, timeout: float = 300, check: bool = True) -> str:
    """A command's output, both of it; it must succeed unless told otherwise."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    said = done.stdout + done.stderr
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)} exited with {done.returncode}:\n{said[-2000:]}")
    return said


def until(met: Callable[[], bool], seconds: float = 60) -> float:
    """Wait until it is so; how long it took."""
    began = time.monotonic()
    while not met():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"it did not come to pass within {seconds:g} s: {met}")
        time.sleep(0.1)
    return time.monotonic() - began


# --- the server --------------------------------------------------------------------------------------------------


def make_export(megabytes: int) -> None:
    """An empty folder on a disk of its own, so that it can be full, exported to every host."""
    disk = Path("/srv/export.img")
    if os.path.ismount(EXPORT):
        run("systemctl", "stop", "nfs-server")
        run("umount", str(EXPORT))
    with disk.open("wb") as file:
        file.truncate(megabytes * 1024**2)
    run("mkfs.ext4", "-q", "-m", "0", str(disk))
    EXPORT.mkdir(exist_ok=True)
    run("mount", "-o", "loop", str(disk), str(EXPORT))
    # The account of the service: root on a host is nobody here.
    run("chown", "trialogue:trialogue", str(EXPORT))
    offer_export()


def offer_export() -> None:
    words = f"{EXPORT} *(rw,sync,root_squash,no_subtree_check,fsid=7,insecure)\n"
    Path("/etc/exports").write_text(words)
    run("systemctl", "start", "nfs-server")
    run("exportfs", "-ra")


def withdraw_export() -> None:
    """Nobody may have it any more; handles that are in use go stale."""
    Path("/etc/exports").write_text("")
    run("exportfs", "-ra")
    run("exportfs", "-f")


@contextmanager
def export_full() -> Generator[None]:
    """No room on it for a while."""
    filler = EXPORT / "filler"
    free = os.statvfs(EXPORT)
    run("fallocate", "-l", str(max(1, free.f_bavail - 64) * free.f_bsize), str(filler))
    try:
        yield
    finally:
        filler.unlink()


def contents() -> list[str]:
    """The digests of what the export holds."""
    return sorted(path.name for path in EXPORT.glob("[0-9a-f][0-9a-f]/*"))


def incoming() -> list[str]:
    """What was begun and has no digest yet; what only a probe of readiness wrote, is left out."""
    return sorted(path.name for path in (EXPORT / "incoming").glob("*") if not path.name.startswith("check-"))


# --- the hosts ---------------------------------------------------------------------------------------------------


class Host:
    """One that mounts the export: ``Host("a", 1)``."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.place = Path("/srv") / name
        self._server, self._address = f"10.77.{number}.1", f"10.77.{number}.2"
        self.cable = f"to-{name}"

    def connect(self) -> None:
        """Its network: once."""
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "address", "add", f"{self._server}/24", "dev", self.cable)
        run("ip", "link", "set", self.cable, "up")
        run("ip", "-n", self.name, "address", "add", f"{self._address}/24", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")
        run("ip", "-n", self.name, "link", "set", "lo", "up")

    def mount(self, options: str = OPTIONS, place: Path | None = None) -> Path:
        """Mount the export; where. A name of its own tells the server that it is another client."""
        place = place or self.place
        place.mkdir(exist_ok=True)
        words = f"hostname host-{self.name} && exec mount -t nfs -o {options} {self._server}:{EXPORT} {place}"
        run("nsenter", f"--net=/run/netns/{self.name}", "unshare", "--uts", "sh", "-c", words)
        return place

    def unmount(self, place: Path | None = None) -> None:
        """Whatever is open there."""
        run("umount", "--lazy", "--force", str(place or self.place), check=False)

    @contextmanager
    def cut_off(self) -> Generator[None]:
        """The cable is out for a while."""
        run("ip", "link", "set", self.cable, "down")
        try:
            yield
        finally:
            run("ip", "link", "set", self.cable, "up")
