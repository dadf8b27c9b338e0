"""Where it listens, and where it keeps files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from trialogue import Blobs, ConfigurationError, Finding, StorageError
from trialogue_server._doctor.patient import Patient, as_told, doubtful, right, wrong
from trialogue_server._guard import make_config, open_sockets
from trialogue_server._guard.sockets import close_sockets
from trialogue_server._process.mounts import check_files_folder, kernel_table, mount_of
from trialogue_server._top.reading import UnreachableError, read

#: Free bytes below which it is time to make room.
LITTLE = 1024**3


async def check_port(patient: Patient) -> Sequence[Finding]:
    """Whether it can be listened on, or a server of ours does so already."""
    host, port = patient.config.host, patient.config.port
    try:
        close_sockets(open_sockets(make_config(host, port, fds=())))
    except ConfigurationError as error:
        if await trio.to_thread.run_sync(_is_ours, host, port):
            return [right("port", f"a Trialogue server answers at {host}:{port}")]
        return [as_told("port", error)]
    return [right("port", f"{host}:{port} is free")]


def _is_ours(host: str, port: int) -> bool:
    address = host if host.startswith("unix:") else f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        read(address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"), "")
    except UnreachableError as error:
        return "may not be read" in str(error)
    except ConfigurationError:
        return False
    return True


async def check_files(patient: Patient) -> Sequence[Finding]:
    """Whether the folder for files can be written, durably, and has room."""
    folder = patient.config.data_dir / patient.config.files_dir
    # In threads that are given up when time is: a share that is away answers nobody.
    look = partial(trio.to_thread.run_sync, abandon_on_cancel=True)
    if (unfit := await look(_of_folder, folder)) is not None:
        return [unfit]
    try:
        if await look((folder / "incoming").is_dir):  # It was used already.
            await Blobs(folder).check()
    except StorageError as error:
        return [wrong("files", str(error), f"see that {str(folder)!r} is mounted, writable and not full")]
    return [await look(_of_room, folder)]


def _of_folder(folder: Path) -> Finding | None:
    """What is to be said of it before anything is written."""
    try:
        check_files_folder(folder)
    except ConfigurationError as error:
        return as_told("files", error)
    if not folder.exists():
        return _of_missing(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        detail = f"the folder for files {str(folder)!r} cannot be written"
        return wrong("files", detail, "give it to the user that the server runs as")
    return None


def _of_missing(folder: Path) -> Finding:
    above = next(one for one in folder.absolute().parents if one.exists())
    if os.access(above, os.W_OK | os.X_OK):
        return right("files", f"{str(folder)!r} will be made at the first start")
    detail = f"the folder for files {str(folder)!r} is missing and cannot be made"
    return wrong("files", detail, "make it, mount it, or name another one in files_dir")


def _of_room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    if free < LITTLE:
        detail = f"{free // 1024**2} MB are free for files in {str(folder)!r}"
        return doubtful("files", detail, "make room, or lower files_quota_bytes")
    mount = mount_of(folder, kernel_table())
    where = f", on {mount.kind} at {mount.point}" if mount is not None and mount.point != Path("/") else ""
    return right("files", f"{str(folder)!r} can be written, {free // 1024**3} GB are free{where}")
