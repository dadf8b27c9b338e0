"""Inside the machine: what a node does not start on."""

from __future__ import annotations

from pathlib import Path

from nfs.shared_checks import A, B
from nfs.shares import EXPORT, run


def soft_mount_is_refused() -> None:
    for options in ("soft,vers=4.2", "softerr,vers=3,nolock"):
        A.host.unmount()
        A.host.mount(f"{options},lookupcache=positive")
        said = A.refusal()
        assert "mount it with hard" in said, said
    A.host.unmount()
    A.host.mount()


def database_on_a_share_is_refused() -> None:
    said = A.refusal(data_dir=str(A.host.place / "data"), storage_url="sqlite:")
    assert "is on a network file system" in said, said
    assert not (EXPORT / "data/trialogue.db").exists()
    run("rm", "-rf", str(EXPORT / "data"))


def place_without_its_share_is_refused() -> None:
    B.host.unmount()
    run("chown", "trialogue:trialogue", str(B.host.place))
    said = B.refusal()
    assert "mount the disk or share" in said, said
    assert list(Path(B.host.place).iterdir()) == []


CHECKS = (soft_mount_is_refused, database_on_a_share_is_refused, place_without_its_share_is_refused)
