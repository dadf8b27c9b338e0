"""What the kernel says of this process: processor time, memory, descriptors, threads. Quick reads of /proc, where it is."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from trialogue_server._seeing.exposition import Family, counter, gauge

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc/self")
#: When this module was first wanted: as good as the start of the process.
_STARTED = time.time()


def families() -> Iterator[Family]:
    """Under the names that every Prometheus client uses for them."""
    yield counter("process_cpu_seconds_total", "Processor time, user and system, in seconds.", time.process_time())
    yield gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", _STARTED)
    if _PROC.exists():
        yield gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes())
        yield gauge("process_open_fds", "Open descriptors.", float(open_descriptors()))
        yield gauge("process_threads", "Threads of the operating system.", float(len(os.listdir(_PROC / "task"))))
    yield gauge("process_max_fds", "Most descriptors that may be open.", float(most_descriptors()))
    collections = sum(generation["collections"] for generation in gc.get_stats())
    yield counter("python_gc_collections_total", "Collections of Python's garbage collector.", float(collections))


def resident_bytes() -> float:
    """Memory of ours that is in RAM."""
    return float(int((_PROC / "statm").read_text().split()[1]) * _PAGE)


def open_descriptors() -> int:
    """How many are open, the one that reads the list left out."""
    return len(os.listdir(_PROC / "fd")) - 1


def most_descriptors() -> int:
    """The soft limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
