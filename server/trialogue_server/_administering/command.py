"""``trialogue users``, ``trialogue invite`` and ``trialogue keys``: how they are asked for, and how it is told."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from trialogue_server._administering.doing import Administration
    from trialogue_server.api._account_bodies import Me, OfferedReset
    from trialogue_server.config import Config

#: What is done, and what is printed: a value for machines, and lines for people.
Told: TypeAlias = "tuple[object, Sequence[str]]"
Deed: TypeAlias = "Callable[[Administration, argparse.Namespace], Awaitable[Told]]"

USERS = {
    "list": "list accounts, by address",
    "create": "make an account without a password, and what sets one; the first is administrator",
    "role": "make somebody administrator, or no longer",
    "disable": "let somebody in no more; all that is open ends",
    "enable": "let somebody in again",
    "reset": "offer a new password to be set, once, within a day",
    "sign-out": "end all sessions of somebody; API keys stay",
    "delete": "delete an account; what it owns goes while a server runs",
}
KEYS = {"list": "list somebody's API keys", "revoke": "revoke an API key"}


def add_arguments(
    command: argparse.ArgumentParser,
    name: str,
    add_settings: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """What the command ``name`` takes."""
    if name == "invite":
        command.add_argument("--email", metavar="EMAIL", help="good for this address alone [for anyone]")
        command.add_argument("--role", choices=("user", "admin"), default="user", help="of the account [user]")
        command.add_argument("--days", type=float, default=7.0, metavar="DAYS", help="how long it is good [7]")
        _add_common(command, "invite", add_settings, run)
        return
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action, text in (USERS if name == "users" else KEYS).items():
        parser = actions.add_parser(action, help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
        wanted = {"users list": "[TEXT] ", "keys revoke": "KEY "}.get(f"{name} {action}", "USER ")
        parser.usage = f"trialogue {name} {action} {wanted}[options]"
        _add_own(parser, f"{name} {action}")
        _add_common(parser, f"{name} {action}", add_settings, run)


def _add_own(parser: argparse.ArgumentParser, what: str) -> None:
    if what == "users list":
        parser.add_argument("text", metavar="TEXT", nargs="?", help="what stands in the address or the name")
    elif what == "keys revoke":
        parser.add_argument("key", metavar="KEY", help="its id")
    else:
        parser.add_argument("user", metavar="USER", help="an address, or an id")
    if what == "users create":
        parser.add_argument("--name", default="", metavar="NAME", help="for people to read")
        parser.add_argument("--role", choices=("user", "admin"), default="user", help="[user]")
    elif what == "users role":
        parser.add_argument("role", choices=("user", "admin"))


def _add_common(
    parser: argparse.ArgumentParser,
    what: str,
    add_settings: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    parser.set_defaults(run=run, deed=what)
    parser.add_argument("--json", action="store_true", help="as JSON, for a machine")
    parser.add_argument(
        "--server", metavar="SERVER", help="have it done by this running server: http://host:port or unix:/path"
    )
    parser.add_argument("--token-file", metavar="FILE", help="holds an administrator's API key with the scope admin")
    add_settings(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Do it, and print what became of it. Raises ``ConfigurationError``."""
    import msgspec
    import trio

    from trialogue import ConfigurationError, TrialogueError

    logging.getLogger("trialogue").addHandler(logging.NullHandler())  # What matters comes as an error.
    try:
        value, lines = trio.run(_done, arguments, config)
    except ConfigurationError:
        raise
    except TrialogueError as error:
        raise ConfigurationError(error.detail) from error
    if arguments.json:
        lines = [msgspec.json.format(msgspec.json.encode(value)).decode()]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


async def _done(arguments: argparse.Namespace, config: Config) -> Told:
    from trialogue import TrialogueError

    async with _opened(arguments, config) as admin:
        try:
            return await DEEDS[arguments.deed](admin, arguments)
        except* TrialogueError as group:  # The store's own tasks may have wrapped it.
            raise _first(group) from None


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def _opened(arguments: argparse.Namespace, config: Config) -> AsyncGenerator[Administration]:
    from trialogue import ConfigurationError
    from trialogue_server._administering.direct import open_direct
    from trialogue_server._administering.local import find_local
    from trialogue_server._administering.remote import Remote
    from trialogue_server._top.reading import read_token

    if arguments.server is None:
        if (local := find_local(config.data_dir)) is not None:
            yield local
            return
        try:
            async with open_direct(config) as admin:
                yield admin
        except ConfigurationError as error:
            if "in use by" not in error.detail:
                raise
            told = (
                "a server has this data open: name it with --server, and an administrator's API key with --token-file"
            )
            raise ConfigurationError(f"{told} ({error.detail})") from error
        return
    if arguments.token_file is None:
        raise ConfigurationError(
            "a server wants an administrator's API key: name the file that holds it in --token-file"
        )
    yield Remote(arguments.server, read_token(arguments.token_file))


# --- what can be done --------------------------------------------------------------------------------------------


async def _list(admin: Administration, arguments: argparse.Namespace) -> Told:
    users = await admin.users(arguments.text)
    return users, [_line(user) for user in users]


async def _create(admin: Administration, arguments: argparse.Namespace) -> Told:
    user, reset = await admin.create(arguments.user, arguments.name, arguments.role)
    return {"user": user, "reset": reset}, [_line(user), *_reset_lines(reset)]


async def _change(admin: Administration, arguments: argparse.Namespace) -> Told:
    from msgspec import UNSET

    from trialogue_server.api._account_bodies import UpdateUserBody

    action = arguments.deed.removeprefix("users ")
    role = arguments.role if action == "role" else UNSET
    disabled = {"disable": True, "enable": False}.get(action, UNSET)
    user = await admin.change(arguments.user, UpdateUserBody(role=role, disabled=disabled))
    return user, [_line(user)]


async def _reset(admin: Administration, arguments: argparse.Namespace) -> Told:
    reset = await admin.reset(arguments.user)
    return reset, _reset_lines(reset)


async def _sign_out(admin: Administration, arguments: argparse.Namespace) -> Told:
    await admin.sign_out(arguments.user)
    return {}, ["signed out everywhere"]


async def _delete(admin: Administration, arguments: argparse.Namespace) -> Told:
    await admin.delete(arguments.user)
    return {}, ["deleted; what it owned goes while a server runs"]


async def _invite(admin: Administration, arguments: argparse.Namespace) -> Told:
    from trialogue import ConfigurationError
    from trialogue_server.api._account_bodies import InvitationBody

    if not 0 < arguments.days <= 366:
        raise ConfigurationError(f"--days cannot be {arguments.days:g}: more than 0, and no more than 366")
    made = await admin.invite(InvitationBody(arguments.email, arguments.role, arguments.days))
    until = made.invitation.expires_at.strftime("%Y-%m-%d %H:%M UTC")
    return made, [made.token, f"good once, until {until}: registering takes it as `invitation`"]


async def _keys(admin: Administration, arguments: argparse.Namespace) -> Told:
    found = await admin.keys(arguments.user)
    return found, [f"{key.id}  {' '.join(key.scopes):<16}  {key.name}" for key in found.keys]


async def _revoke(admin: Administration, arguments: argparse.Namespace) -> Told:
    await admin.revoke(arguments.key)
    return {}, ["revoked"]


DEEDS: dict[str, Deed] = {
    "users list": _list,
    "users create": _create,
    "users role": _change,
    "users disable": _change,
    "users enable": _change,
    "users reset": _reset,
    "users sign-out": _sign_out,
    "users delete": _delete,
    "invite": _invite,
    "keys list": _keys,
    "keys revoke": _revoke,
}


def _line(user: Me) -> str:
    return f"{user.id}  {user.role:<5}  {'disabled' if user.disabled else 'enabled':<8}  {user.email}  {user.name}"


def _reset_lines(reset: OfferedReset) -> list[str]:
    until = reset.expires_at.strftime("%Y-%m-%d %H:%M UTC")
    return [reset.token, f"sets a password, once, until {until}: POST /api/auth/reset takes it as `token`"]
