"""Inside the machine: the service as it was installed, its files on the share by the unit that comes along."""

from __future__ import annotations

import os
from pathlib import Path

from nfs.nodes import Node
from nfs.shares import EXPORT, Host, contents, make_export, note, run, until

FILES = Path("/var/lib/trialogue/files")
MOUNT = "var-lib-trialogue-files.mount"
UNITS = Path("/etc/systemd/system")
#: The one that listens where the units have it.
SERVICE = Node(Host("service", 9), 4512)


def show(name: str, unit: str) -> str:
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def options() -> set[str]:
    """How the kernel has mounted the files."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next({*fields[3].split(","), fields[2]} for fields in lines if fields[1] == str(FILES))


def unit_mounts_the_share() -> None:
    make_export(96)
    text = (Path("/opt/trialogue/current/systemd") / MOUNT).read_text()
    assert "What=nfs.example.org:/trialogue-files\n" in text
    (UNITS / MOUNT).write_text(text.replace("nfs.example.org:/trialogue-files", f"127.0.0.1:{EXPORT}"))
    run("systemctl", "daemon-reload")
    run("systemctl", "start", MOUNT)
    assert {"nfs4", "hard", "vers=4.2", "lookupcache=pos", "nosuid", "nodev", "noexec"} <= options(), options()


def service_keeps_its_files_there() -> None:
    run("systemctl", "start", "trialogue.socket", "trialogue.service", timeout=600)
    note(f"ready after {until(lambda: SERVICE.ask('GET', '/readyz')[0] == 200, 240):.0f} s more")
    SERVICE.register()
    status, file = SERVICE.upload(b"on a share")
    assert status == 201, file
    assert contents() == [file["sha256"]]
    owner = next(EXPORT.glob(f"??/{file['sha256']}")).stat().st_uid
    assert owner == os.stat(EXPORT).st_uid
    assert SERVICE.fetch(file["id"])[1] == b"on a share"


def service_goes_with_the_mount_and_brings_it_back() -> None:
    run("systemctl", "stop", MOUNT, timeout=600)
    assert show("ActiveState", "trialogue.service") == "inactive"
    assert not os.path.ismount(FILES)
    run("systemctl", "start", "trialogue.service", timeout=600)
    assert os.path.ismount(FILES)
    file = SERVICE.call("GET", "/api/files")["files"][0]
    assert SERVICE.fetch(file["id"])[1] == b"on a share"


def service_refuses_a_place_without_its_share() -> None:
    run("systemctl", "stop", "trialogue.socket", MOUNT, timeout=600)
    (UNITS / MOUNT).unlink()
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "--no-block", "trialogue.service")

    def said() -> bool:
        return "mount the disk or share" in run("journalctl", "-u", "trialogue", "-n", "30", "--no-pager")

    until(said, 240)
    run("systemctl", "stop", "trialogue.socket", "trialogue.service", timeout=600)


CHECKS = (
    unit_mounts_the_share,
    service_keeps_its_files_there,
    service_goes_with_the_mount_and_brings_it_back,
    service_refuses_a_place_without_its_share,
)
