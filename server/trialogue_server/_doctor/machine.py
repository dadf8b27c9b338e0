"""The machine: Python, the processor, and what the operating system allows a process."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Sequence

from trialogue import Finding
from trialogue_server._doctor.patient import Patient, doubtful, right, wrong

OLDEST = (3, 11)
#: Those that the tests run on.
KNOWN = ("x86_64", "aarch64", "AMD64", "arm64")
#: Two descriptors for a client, one for a provider's stream, some for files.
DESCRIPTORS = 4096
#: A clock before this was written is wrong.
YOUNGEST = 1_790_000_000


async def check_python(_: Patient) -> Sequence[Finding]:
    """Its version, and the processor that it was made for."""
    version, machine = platform.python_version(), platform.machine()
    if sys.version_info[:2] < OLDEST:
        return [wrong("python", f"Python {version} is too old", "install Python 3.11 or newer, and Trialogue with it")]
    if machine not in KNOWN:
        detail = f"Python {version} on {machine}, on which nobody has tried it"
        return [doubtful("python", detail, "use a machine with amd64 or arm64")]
    return [right("python", f"Python {version} on {platform.system()} {machine}")]


async def check_limits(_: Patient) -> Sequence[Finding]:
    """Open files, which are clients and streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        detail = f"a process may have {soft} files open, fewer than {DESCRIPTORS}: clients are turned away early"
        fix = f"ulimit -n {DESCRIPTORS}" if hard >= DESCRIPTORS else f"set LimitNOFILE={DESCRIPTORS} in its unit"
        return [doubtful("limits", detail, fix)]
    return [right("limits", f"{soft} files may be open")]


async def check_time(_: Patient) -> Sequence[Finding]:
    """Whether the clock can be right at all. A database's clock is compared with it where there is one."""
    if time.time() < YOUNGEST:
        detail = f"the clock says {time.strftime('%Y-%m-%d', time.gmtime())}"
        return [
            wrong("time", detail, "set it by time servers (timedatectl set-ntp true): logins and keys expire by it")
        ]
    return []
