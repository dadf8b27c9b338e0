"""The process around what serves: its port, the orders it gets, what its service manager is told, and who comes after it.

    SIGTERM, SIGINT   stop: running answers end within the grace; told again, stop at once
    SIGHUP            let another process take our place (``succession``), without a connection being refused; in a
                      terminal, which says so when it is closed, stop
    SIGUSR1           print what is alive

What serves meanwhile, and obeys them, is a ``turn``; mostly there is one.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator

import trio
from hypercorn.config import Config as ServerConfig

from trialogue import ConfigurationError, load_plugins
from trialogue_server._guard import make_config, open_sockets
from trialogue_server._process.connections import connection_limits
from trialogue_server._process.notify import Notifier
from trialogue_server._process.succession import Successor, find_predecessor
from trialogue_server._process.turn import Turn
from trialogue_server.config import Config


def run(config: Config) -> None:
    """Serve until told to stop. Raises ``ConfigurationError``."""
    trio.run(_run, config)


async def _run(config: Config) -> None:
    settings = _settings(config)
    notifier = Notifier(os.environ, os.getpid())
    in_terminal = _in_terminal()  # Asked now: of one that is closed, it would not be known any more.
    predecessor = find_predecessor(os.environ)
    if predecessor is None:
        sockets, shared = open_sockets(settings).insecure_sockets, settings.bind[0].startswith("fd://")
    else:
        sockets, shared = predecessor.sockets, predecessor.shared
        await _warm_up(config)
        await predecessor.wait()
    with trio.open_signal_receiver(*_orders()) as signals:
        while True:
            turn = Turn(config, settings, sockets, notifier, shared=shared, in_terminal=in_terminal)
            await turn.run(signals, predecessor)
            if turn.successor is None or await _gives_place(turn.successor, signals, notifier):
                return
            predecessor = None


def _orders() -> list[signal.Signals]:
    usual = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    # Whoever started us with nohup wants us to stay.
    return usual if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*usual, signal.SIGHUP]


def _in_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _settings(config: Config) -> ServerConfig:
    connections = connection_limits(config)
    settings = make_config(config.host, config.port, limits=connections, websocket_limit=config.socket_message_bytes)
    # Its lines go where ours go, and ours say where we are.
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.errorlog.setLevel(logging.WARNING)
    return settings


async def _warm_up(config: Config) -> None:
    """Import what serving needs, and find out what is wrong with the settings or the storage, while another process still
    serves. Raises ``ConfigurationError``.
    """
    plugins = load_plugins(disabled=config.disabled_plugins)
    plugins.open_store(config.storage_url, config.data_dir)  # Its driver is imported; nothing is opened.
    plugins.providers(os.environ)
    look = plugins.store_checkup(config.storage_url, config.data_dir)
    for finding in () if look is None else await look():
        if finding.state == "wrong":
            raise ConfigurationError(f"{finding.detail}: {finding.fix}")


async def _gives_place(successor: Successor, signals: AsyncIterator[int], notifier: Notifier) -> bool:
    """Whether nothing is left to do for us: the successor serves, or we were told to stop meanwhile."""
    done = False

    async def obey() -> None:
        nonlocal done
        async for number in signals:
            if number in (signal.SIGTERM, signal.SIGINT):
                done = True
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(obey)
        if await successor.takes_over():
            notifier.succeeded_by(successor.pid)
            await successor.confirm()
            done = True
        nursery.cancel_scope.cancel()
    return done
