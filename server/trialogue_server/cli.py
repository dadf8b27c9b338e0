"""The command ``trialogue``: what to do is read here, and done elsewhere.

    trialogue serve      serve until told to stop
    trialogue config     every setting: its value, where that came from, what it is for
    trialogue plugins    what is loaded, what it adds, and what was set aside and why
    trialogue nodes      which processes serve over the storage, and what each has
    trialogue top        what a running server does, live
    trialogue doctor     what is right and what is not, and how to mend it
    trialogue db         check, migrate, back up, restore, copy and prune what is stored
    trialogue users      list, make, change, sign out and delete accounts; invite, keys: as they say
    trialogue openapi    the API as an OpenAPI 3.1 document
    trialogue version    versions, for a report

Exit codes: 0 done, 2 the operator has something to mend (said in one line on standard error), 130 interrupted. Whatever
takes long to import is imported by the command that needs it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialogue_server._settings.settings import Loaded

EXAMPLES = """\
examples:
  trialogue serve                        serve on http://127.0.0.1:4512, data in ./data
  trialogue serve --port 8080 --data-dir /var/lib/trialogue
  trialogue config --config my.toml      what would be in force, and why
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; ``argv`` is without the program's name. Returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.run is None:
        parser.print_help()
        return 0
    try:
        return _explained(arguments.run, arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # The reader of our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _explained(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    from trialogue import ConfigurationError

    code = 2
    try:
        code = run(arguments)
        sys.stdout.flush()
    except* ConfigurationError as group:  # Alone, or out of a nursery.
        for error in _leaves(group):
            print(f"trialogue: {error}", file=sys.stderr)
    return code


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


# --- reading the command line ------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trialogue",
        description="LLM conversation server: user, model and tools in one durable, live conversation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=None)
    parser.add_argument("--version", action="store_const", const=_version, dest="run", help="same as `version`")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, run, text in (
        ("serve", _serve, "serve until told to stop"),
        ("config", _config, "show every setting: its value, where that came from, what it is for"),
        ("plugins", _plugins, "list what is loaded, what it adds, and what was set aside and why"),
        ("nodes", _nodes, "list the processes that serve over the storage, and what each one has"),
        ("top", _top, "show live what a running server does, from its metrics"),
        (
            "doctor",
            _doctor,
            "check configuration, storage, files, providers and machine, and say how to mend what is wrong",
        ),
        ("db", _db, "check, migrate, back up, restore, copy and prune what is stored"),
        ("users", _users, "list, make, change, sign out and delete accounts"),
        ("invite", _users, "let somebody make an account"),
        ("keys", _users, "list and revoke API keys"),
        ("openapi", _openapi, "print the API as an OpenAPI 3.1 document, for instance to generate a client"),
        ("version", _version, "show versions, for a report"),
    ):
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}.",
            usage=f"trialogue {name} [options]",  # argparse would list every setting twice
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        if run in (_nodes, _plugins):
            command.add_argument("--json", action="store_true", help="as JSON, for a machine")
        if run not in (_version, _openapi, _db, _users):
            _add_settings(command)
        _add_own(command, name)
    return parser


def _add_own(command: argparse.ArgumentParser, name: str) -> None:
    """What a command takes besides settings."""
    if name == "top":
        command.add_argument(
            "servers", metavar="SERVER", nargs="*", help="http://host:port or unix:/path; else this one"
        )
        command.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between two looks [2]")
        command.add_argument("--nodes", action="store_true", help="all nodes of the server's cluster")
        command.add_argument("--once", action="store_true", help="show it once and end")
        command.add_argument("--json", action="store_true", help="one JSON object a look")
        command.add_argument("--token-file", metavar="FILE", help="holds the metrics token, or an administrator's key")
    elif name == "db":
        from trialogue_server._keeping.command import add_actions

        command.usage = None
        add_actions(command, _add_settings, _db)
    elif name in ("users", "invite", "keys"):
        from trialogue_server._administering.command import add_arguments

        command.usage = command.usage if name == "invite" else None
        add_arguments(command, name, _add_settings, _users)
    elif name == "doctor":
        command.add_argument("--ask", action="store_true", help="ask each provider for its models, over the network")
        command.add_argument("--json", action="store_true", help="one JSON object")


def _add_settings(command: argparse.ArgumentParser) -> None:
    from trialogue_server._settings.setting import toml
    from trialogue_server.config import SETTINGS

    command.add_argument("--config", metavar="FILE", help="TOML file to read [TRIALOGUE_CONFIG, else ./trialogue.toml]")
    settings = command.add_argument_group("settings", "A flag goes before its variable, and that before the file.")
    for setting in SETTINGS:
        text = f"{setting.doc} [{setting.variable}, else {toml(setting.default)}]"
        metavar = "|".join(setting.choices) or "VALUE"
        settings.add_argument(
            setting.flag, dest=f"set_{setting.name}", metavar=metavar, help=text.replace("%", "%%"), default=None
        )


def _loaded(arguments: argparse.Namespace) -> Loaded:
    from importlib.metadata import entry_points

    from trialogue_server._settings.credentials import read_credentials
    from trialogue_server._settings.settings import load_settings

    read_credentials(os.environ)  # As a unit of systemd's it has them from there.
    given = {name.removeprefix("set_"): value for name, value in vars(arguments).items() if name.startswith("set_")}
    flags = {name: value for name, value in given.items() if value is not None}
    plugins = entry_points(group="trialogue").names
    return load_settings(flags, os.environ, plugins=plugins, file=arguments.config)


# --- commands ----------------------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    from trialogue_server._process import logs, process

    logs.configure(config)
    process.run(config)
    return 0


def _config(arguments: argparse.Namespace) -> int:
    config, sources = _loaded(arguments)
    from trialogue_server.config import SETTINGS

    print(
        "# A flag goes before its variable, and that before the file. Passwords are masked; else this is such a file."
    )
    for setting in SETTINGS:
        print(f"\n# {setting.doc}\n# {setting.variable}, {setting.flag}; now from: {sources[setting.name]}")
        print(f"{setting.name} = {setting.show(config)}")
    return 0


def _plugins(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    import logging

    from trialogue import load_plugins

    logging.getLogger("trialogue").addHandler(logging.NullHandler())  # The list below says it all.
    from trialogue_server._commands.plugins import lines, look_at

    found = look_at(load_plugins(disabled=config.disabled_plugins), os.environ)
    for line in lines(found, as_json=arguments.json):
        print(line)
    return 0


def _nodes(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    import logging

    from trialogue_server._commands.nodes import lines, list_nodes

    logging.getLogger("trialogue").addHandler(logging.NullHandler())  # What matters comes as an error.
    for line in lines(list_nodes(config), as_json=arguments.json):
        print(line)
    return 0


def _top(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    from trialogue_server._top.running import run, wanted

    how = {"once": arguments.once, "as_json": arguments.json, "all_nodes": arguments.nodes}
    return run(wanted(config, arguments.servers, arguments.token_file, arguments.interval, **how))


def _doctor(arguments: argparse.Namespace) -> int:
    from trialogue_server._doctor import run

    return run(lambda: _loaded(arguments), ask=arguments.ask, as_json=arguments.json)


def _db(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    from trialogue_server._keeping.command import run

    return run(arguments, config)


def _users(arguments: argparse.Namespace) -> int:
    config = _loaded(arguments).config
    from trialogue_server._administering.command import run

    return run(arguments, config)


def _openapi(_: argparse.Namespace) -> int:
    from trialogue_server.api.description import encoded_document

    print(encoded_document()[0].decode())
    return 0


def _version(_: argparse.Namespace) -> int:
    import platform
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("trio", "quart-trio", "hypercorn"))
    print(f"trialogue {version('trialogue')}")
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {libraries}")
    return 0
