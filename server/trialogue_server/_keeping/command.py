"""``trialogue db``: what it can do, how that is asked for, and how it is told."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialogue import Finding
    from trialogue_server.config import Config

#: Each with what it is for.
ACTIONS: Mapping[str, str] = {
    "check": "see whether what is stored is sound; exit code 2 when it is not",
    "migrate": "bring the schema up to date, as a start does",
    "backup": "make a backup, whether or not a server runs",
    "restore": "put a backup back, while no server runs",
    "copy": "fill an empty storage of this or another kind from this one, while no server runs",
    "prune": "remove everything whose time is over, and contents of files that no row knows of",
}


def add_actions(
    command: argparse.ArgumentParser,
    add_settings: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """What ``trialogue db`` takes."""
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}.",
            usage=f"trialogue db {name}{_ARGUMENTS.get(name, '')} [options]",
            allow_abbrev=False,
        )
        action.set_defaults(run=run, action=name)
        action.add_argument("--json", action="store_true", help="as JSON, for a machine")
        _add_own(action, name)
        add_settings(action)


_ARGUMENTS = {"backup": " PLACE", "restore": " BACKUP", "copy": " URL"}


def _add_own(action: argparse.ArgumentParser, name: str) -> None:
    if name == "check":
        action.add_argument("--deep", action="store_true", help="read all contents of files, and not only their sizes")
    elif name in ("migrate", "prune"):
        action.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    elif name == "backup":
        action.add_argument("place", metavar="PLACE", type=Path, help="folder for backups; each is a folder in it")
        action.add_argument("--keep", metavar="N", type=_count, help="then remove all but the newest N")
    elif name == "restore":
        action.add_argument("backup", metavar="BACKUP", type=Path, help="folder of one backup")
        action.add_argument("--replace", action="store_true", help="where data is, which is kept aside (SQLite)")
    elif name == "copy":
        action.add_argument("url", metavar="URL", help="as storage_url is written; it must be empty")
        action.add_argument(
            "--to-data-dir", metavar="DIR", type=Path, help="data folder of the copy [that of this one]"
        )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("keep at least one")
    return count


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Do it, and print what became of it. Returns the exit code; raises ``ConfigurationError``."""
    logging.getLogger("trialogue").addHandler(logging.NullHandler())  # What matters comes as an error.
    return _RUNS[arguments.action](arguments, config)


def _check(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.checking import check

    found = trio.run(lambda: check(config, deep=arguments.deep))
    _tell(found, [_line(one) for one in found], as_json=arguments.json)
    return 2 if any(one.state == "wrong" for one in found) else 0


def _migrate(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.migrating import migrate

    found = trio.run(lambda: migrate(config, dry_run=arguments.dry_run))
    _tell(found, [_line(one) for one in found], as_json=arguments.json)
    return 2 if any(one.state == "wrong" for one in found) else 0


def _backup(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.backup import back_up

    made = trio.run(back_up, config, arguments.place, arguments.keep)
    manifest = made.manifest
    lines = [
        made.backup,
        f"{sum(manifest.rows.values())} rows, {manifest.contents} contents of files ({manifest.content_bytes} bytes)",
        *(f"removed: {name}" for name in made.removed),
    ]
    if manifest.missing:
        lines.append(f"NOT in it, since not in files_dir: {len(manifest.missing)} contents, see its manifest")
    _tell(made, lines, as_json=arguments.json)
    return 0


def _restore(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.restore import restore

    done = trio.run(lambda: restore(config, arguments.backup, replace=arguments.replace))
    lines = [
        f"{sum(done.rows.values())} rows and {done.contents} contents of files are back (generation {done.generation})"
    ]
    if done.kept:
        lines.append(f"what was there before is kept: {done.kept}")
    _tell(done, lines, as_json=arguments.json)
    return 0


def _copy(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.moving import move

    moved = trio.run(move, config, arguments.url, arguments.to_data_dir or config.data_dir)
    lines = [f"{sum(moved.rows.values())} rows, compared (SHA-256 {moved.rows_sha256}), generation {moved.generation}"]
    _tell(moved, [*lines, "name it in storage_url, and start the server"], as_json=arguments.json)
    return 0


def _prune(arguments: argparse.Namespace, config: Config) -> int:
    import trio

    from trialogue_server._keeping.pruning import prune
    from trialogue_server.serve import limits

    gone = trio.run(lambda: prune(config, limits(config), dry_run=arguments.dry_run))
    over = gone.over
    word = "would be removed" if arguments.dry_run else "removed"
    counts = (
        (
            over.events,
            f"conversations' pieces of answers (older than delta_retention_hours = {config.delta_retention_hours:g})",
        ),
        (over.trash, f"conversations in the trash (trash_days = {config.trash_days:g})"),
        (over.audit, f"entries of the audit log (audit_days = {config.audit_days:g})"),
        (over.invitations, f"invitations (invitation_days = {config.invitation_days:g})"),
        (over.sessions, "sessions that had ended"),
        (over.contents, "contents of files that nothing names any more"),
        (len(gone.strays), "contents of files that no row knows of"),
    )
    _tell(gone, [f"{word}: {count} {what}" for count, what in counts], as_json=arguments.json)
    return 0


_RUNS: Mapping[str, Callable[[argparse.Namespace, Config], int]] = {
    "check": _check,
    "migrate": _migrate,
    "backup": _backup,
    "restore": _restore,
    "copy": _copy,
    "prune": _prune,
}


def _tell(value: object, lines: Sequence[str], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        lines = [msgspec.json.format(msgspec.json.encode(value)).decode()]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _line(finding: Finding) -> str:
    mark = {"right": "ok", "doubtful": "??", "wrong": "NO"}[finding.state]
    return f"{mark} {finding.what}: {finding.detail}" + (f"; {finding.fix}" if finding.fix else "")
