"""Where uploaded files may lie: on what keeps its promises, and nowhere else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from trialogue import ConfigurationError
from trialogue_server._process.mounts import check_files_folder, mount_of

ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
FOLDER = Path("/srv/files")
GOOD = "rw,vers=4.2,hard,proto=tcp,timeo=150,lookupcache=pos"


def mounted(kind: str, options: str = "rw", point: str = "/srv") -> str:
    return f"{ROOT}\n40 22 0:50 / {point} rw,nosuid shared:7 - {kind} nas:/export {options}\n"


@pytest.mark.parametrize("kind", ["fuse.s3fs", "fuse.rclone", "fuse.sshfs", "davfs", "9p"])
def test_what_keeps_no_promise_is_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"on {kind}.*name a folder on a disk"):
        check_files_folder(FOLDER, mounted(kind))


@pytest.mark.parametrize("options", ["rw,vers=4.2,soft,timeo=20", "rw,vers=3,softerr", "rw,vers=2,hard"])
def test_share_that_may_lose_writes_is_refused_with_the_options_it_needs(options: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mount it with hard,vers=4\.2"):
        check_files_folder(FOLDER, mounted("nfs4", options))


def test_share_as_the_unit_mounts_it_is_taken_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    check_files_folder(FOLDER, mounted("nfs4", GOOD))
    check_files_folder(FOLDER, ROOT)
    assert caplog.records == []


def test_stale_look_ups_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_files_folder(FOLDER, mounted("nfs4", "rw,vers=4.2,hard"))
    assert "lookupcache=positive" in caplog.text


def test_memory_is_told(caplog: pytest.LogCaptureFixture) -> None:
    check_files_folder(FOLDER, mounted("tmpfs"))
    assert "next start" in caplog.text


@pytest.mark.parametrize(("point", "written"), [("/srv/Büro", "/srv/Büro"), ("/srv/a b\\c", r"/srv/a\040b\134c")])
def test_mount_of_any_name_is_found(point: str, written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"fuse\.s3fs"):
        check_files_folder(Path(point) / "files", mounted("fuse.s3fs", point=written))


def test_deepest_and_last_mount_counts() -> None:
    table = mounted("fuse.s3fs") + "41 40 0:51 / /srv/files rw - xfs /dev/vdb rw\n"
    assert (found := mount_of(FOLDER, table)) is not None
    assert found.kind == "xfs"
    over = table + "42 41 0:52 / /srv/files rw - nfs4 nas:/x rw,hard\n"
    assert (found := mount_of(FOLDER, over)) is not None
    assert found.kind == "nfs4"
    assert (found := mount_of(Path("/srvx"), table)) is not None
    assert found.kind == "ext4"


def test_names_with_blanks_are_read_and_nonsense_is_not() -> None:
    table = "nonsense\n\n" + mounted("nfs4", point="/my\\040disk")
    assert (found := mount_of(Path("/my disk/files"), table)) is not None
    assert found.point == Path("/my disk")
    assert mount_of(FOLDER, "nonsense") is None
    check_files_folder(FOLDER, "")


def test_mount_unit_has_the_options_that_are_asked_for() -> None:
    unit = (Path(__file__).parents[2] / "deploy/systemd/var-lib-trialogue-files.mount").read_text()
    options = next(line for line in unit.splitlines() if line.startswith("Options=")).removeprefix("Options=")
    assert {"hard", "vers=4.2", "lookupcache=positive"} <= set(options.split(","))
