"""Installing, upgrading, going back and removing: twice does no harm, and killed anywhere, what served goes on serving.

The scripts run for real, on a folder in the place of the machine's root: see ``machine``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_install_twice(machine: Machine) -> None:
    machine.done("install", "1")
    settings = machine.root / "etc/trialogue/trialogue.toml"
    settings.write_text("port = 80\n")
    assert "in place" in machine.done("install", "1")
    assert settings.read_text() == "port = 80\n"
    assert (machine.serves, machine.current) == ("1", "1")
    assert (machine.root / "etc/trialogue/credentials").stat().st_mode & 0o777 == 0o700
    assert (machine.root / "etc/systemd/system/trialogue.service").exists()


def test_upgrade_and_back(machine: Machine) -> None:
    machine.done("install", "1")
    machine.done("upgrade", "2")
    assert (machine.serves, machine.current) == ("2", "2")
    machine.done("upgrade", "2")
    machine.done("rollback")
    assert (machine.serves, machine.current) == ("1", "1")
    machine.done("rollback")
    assert (machine.serves, machine.current) == ("2", "2")
    machine.done("upgrade", "3")
    assert sorted(one.name for one in (machine.root / "opt/trialogue").glob("[0-9]*")) == ["2", "3"]


def test_version_that_does_not_serve_leaves_the_one_before(machine: Machine) -> None:
    machine.done("install", "1")
    assert "journalctl" in machine.refused("upgrade", "bad")
    assert (machine.serves, machine.current) == ("1", "1")
    machine.done("upgrade", "2")
    assert machine.serves == "2"


def test_version_that_cannot_be_built_changes_nothing(machine: Machine) -> None:
    machine.done("install", "1")
    (machine.state / "no-build").touch()
    assert "nothing was changed" in machine.refused("upgrade", "2")
    assert (machine.serves, machine.current) == ("1", "1")


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("upgrade", (), "deploy/install"),
        ("rollback", (), "no version before"),
        ("rollback", ("9",), "no version 9"),
    ],
)
def test_what_cannot_be_is_said(machine: Machine, script: str, arguments: tuple[str, ...], words: str) -> None:
    assert words in machine.refused(script, *arguments)


def test_installing_another_version_is_an_upgrade(machine: Machine) -> None:
    machine.done("install", "1")
    assert "deploy/upgrade" in machine.refused("install", "2")


def test_uninstall_keeps_data_unless_told(machine: Machine) -> None:
    data = machine.root / "var/lib/trialogue"
    machine.done("install", "1")
    data.mkdir(parents=True)
    machine.done("uninstall")
    assert machine.serves is None
    assert data.exists()
    assert (machine.root / "etc/trialogue/trialogue.toml").exists()
    assert not (machine.root / "opt/trialogue").exists()
    assert list((machine.root / "etc/systemd/system").iterdir()) == []
    machine.done("install", "1")
    machine.done("uninstall", "--purge", "yes")
    machine.done("uninstall", "--purge", "yes")
    assert not data.exists()
    assert not (machine.root / "etc/trialogue").exists()


def test_version_that_does_not_know_the_storage_is_not_used(machine: Machine) -> None:
    machine.done("install", "1")
    machine.done("upgrade", "2")
    assert "storage" in machine.refused("upgrade", "old")
    assert "nothing was changed" in machine.refused("rollback", "old")
    assert (machine.serves, machine.current) == ("2", "2")
    assert "reload" not in (machine.state / "calls").read_text().rpartition("start trialogue-fits")[2]
    machine.done("rollback")
    assert (machine.serves, machine.current) == ("1", "1")


def killed_everywhere(machine: Machine, script: str, *arguments: str) -> Iterator[int]:
    """Run it again and again, it or what it runs killed one change later each time, until it comes to its end."""
    for change in range(1, 300):
        ended = machine.run(script, *arguments, kill_at=change)
        if ended.returncode == 0:
            assert change > 10
            return
        yield change
    raise AssertionError("it never came to its end")


def test_install_that_was_killed_anywhere_is_done_again(machine: Machine) -> None:
    for _ in killed_everywhere(machine, "install", "1"):
        assert machine.serves in (None, "1")
    assert (machine.serves, machine.current) == ("1", "1")


def test_upgrade_that_was_killed_anywhere_leaves_what_serves(machine: Machine) -> None:
    machine.done("install", "1")
    for _ in killed_everywhere(machine, "upgrade", "2"):
        assert machine.serves in ("1", "2")
        assert machine.current in ("1", "2")  # Whichever a restart would find, it is whole.
    assert (machine.serves, machine.current) == ("2", "2")


def stopped_at(machine: Machine, folder: Path, script: str, *arguments: str) -> Iterator[Machine]:
    """As it is before each change: a machine each, on which the script, or what it runs, was killed there."""
    for change in range(1, 300):
        other = machine.copy(folder / f"{script}-{change}")
        other.run(script, *arguments, kill_at=change)
        if int((other.state / "count").read_text()) < change:
            assert change > 10
            return
        assert other.serves in ("1", *arguments)
        assert other.current in ("1", *arguments)
        yield other
    raise AssertionError("it never came to its end")


def test_upgrade_that_was_killed_anywhere_can_be_undone_and_finished(machine: Machine, tmp_path: Path) -> None:
    machine.done("install", "1")
    machine.done("upgrade", "2")
    machine.done("rollback")
    for stopped in stopped_at(machine, tmp_path, "upgrade", "2"):
        undone = stopped.copy(tmp_path / f"{stopped.root.parent.name}-undone")
        undone.done("rollback", "1")
        assert (undone.serves, undone.current) == ("1", "1")
        stopped.done("upgrade", "2")
        assert (stopped.serves, stopped.current) == ("2", "2")
        assert str((stopped.root / "opt/trialogue/previous").readlink()) == "1"
        assert (stopped.root / "opt/trialogue/1/.complete").exists()


def test_upgrade_to_what_does_not_serve_goes_back_wherever_it_was_killed_before(
    machine: Machine, tmp_path: Path
) -> None:
    machine.done("install", "1")
    machine.refused("upgrade", "bad")
    for stopped in stopped_at(machine, tmp_path, "upgrade", "bad"):
        assert stopped.serves == "1"
        stopped.refused("upgrade", "bad")
        assert (stopped.serves, stopped.current) == ("1", "1")
