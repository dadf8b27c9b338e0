"""Reads, shows, and waits, over and over."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import msgspec

from trialogue import ConfigurationError
from trialogue_server._top.figures import Figures, figures
from trialogue_server._top.reading import Reading, UnreachableError, nodes, read, read_token
from trialogue_server._top.screen import lines
from trialogue_server.config import Config

#: To the upper left, and what was there away.
_CLEAR = "\x1b[H\x1b[2J"
#: Servers that can be looked at.
MOST = 64


class Wanted(NamedTuple):
    """What is to be shown, and how."""

    addresses: tuple[str, ...]
    token: str = ""
    interval: float = 2.0
    once: bool = False
    as_json: bool = False


def wanted(
    config: Config,
    addresses: Sequence[str],
    token_file: str | None,
    interval: float,
    *,
    once: bool,
    as_json: bool,
    all_nodes: bool = False,
) -> Wanted:
    """What the command line and the settings say. Raises ``ConfigurationError``."""
    if not 0.1 <= interval <= 3600:
        raise ConfigurationError(f"--interval cannot be {interval:g}: seconds from 0.1 to 3600")
    if len(addresses) > MOST:
        raise ConfigurationError(f"{len(addresses)} servers are too many to look at: {MOST} at most")
    token = config.metrics_token if token_file is None else read_token(token_file)
    shown = tuple(addresses) or (_own(config),)
    if all_nodes:
        shown = _nodes(shown[0], token)
    return Wanted(shown, token, interval, once, as_json)


def _nodes(address: str, token: str) -> tuple[str, ...]:
    try:
        return nodes(address, token)[:MOST]
    except UnreachableError as error:
        raise ConfigurationError(f"{address} {error}") from error


def _own(config: Config) -> str:
    """Where the server with these settings is."""
    if config.metrics_listen:
        return config.metrics_listen if config.metrics_listen.startswith("unix:") else f"http://{config.metrics_listen}"
    if config.host.startswith("unix:"):
        return config.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


def run(what: Wanted) -> int:
    """Show it until interrupted, or once; 1 when no server could be read in the end."""
    before: dict[str, Reading] = {}
    shown: list[Figures] = []
    try:
        with ThreadPoolExecutor(max_workers=min(8, len(what.addresses))) as pool:
            _look(pool, what, before)  # Rates need two readings.
            while not (what.once and shown):
                time.sleep(what.interval if shown or not what.once else min(what.interval, 1.0))
                shown = _look(pool, what, before)
                _show(shown, what)
    except KeyboardInterrupt:
        pass
    return 1 if shown and all(one.error is not None for one in shown) else 0


def _look(pool: ThreadPoolExecutor, what: Wanted, before: dict[str, Reading]) -> list[Figures]:
    return list(pool.map(partial(_one, what=what, before=before), what.addresses))


def _one(address: str, what: Wanted, before: dict[str, Reading]) -> Figures:
    try:
        now = read(address, what.token, tree=bool(what.token))
    except UnreachableError as error:
        before.pop(address, None)
        return Figures(address, error=str(error))
    found = figures(address, before.get(address), now)
    before[address] = now
    return found


def _show(shown: Sequence[Figures], what: Wanted) -> None:
    if what.as_json:
        text = msgspec.json.encode({"at": time.time(), "servers": shown}).decode()
    else:
        text = "\n".join(lines(shown, shutil.get_terminal_size((100, 40)).columns))
        if sys.stdout.isatty() and not what.once:
            text = _CLEAR + text
    print(text, flush=True)
