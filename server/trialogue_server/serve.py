"""One serving process: what is opened in which order, how it learns that it should stop, and how it stops.

    port -> plugins -> store -> providers -> engine -> hub -> app -> connections

Each thing is open before what stands on it, and closes after it. Told to stop, the process takes no new work, lets running
answers finish within the grace, tells readers to come back, and closes; told again, it stops waiting for answers.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import trio

from trialogue import Engine, Limits, Plugins, Provider, load_plugins, open_engine
from trialogue_server._call import Application
from trialogue_server._guard import Limits as ConnectionLimits
from trialogue_server._guard import make_config, open_sockets, serve_guarded
from trialogue_server._hub import Hub, open_hub
from trialogue_server.app import create_app
from trialogue_server.config import Config

log = logging.getLogger("trialogue.serve")


class Opened(NamedTuple):
    """What serves: the app, and what it stands on."""

    app: Application
    engine: Engine
    hub: Hub


def main(config: Config) -> int:
    """Serve until told to stop; returns the exit code. Raises ``ConfigurationError`` before anything is served."""
    trio.run(_serve, config)
    return 0


@asynccontextmanager
async def open_app(config: Config) -> AsyncGenerator[Application]:
    """The app with all it stands on, for an ASGI server that has a lifespan. Drains when the block ends.

    Raises ``ConfigurationError``.
    """
    async with open_all(config) as opened:
        yield opened.app
        await drain(opened, config.shutdown_grace_seconds)


@asynccontextmanager
async def open_all(config: Config) -> AsyncGenerator[Opened]:
    """Everything but connections. Raises ``ConfigurationError``: a setting, the data folder, a missing plugin."""
    plugins = load_plugins(disabled=config.disabled_plugins)
    async with plugins.open_store(config.storage_url, config.data_dir) as store:
        providers = _providers(plugins)
        async with (
            open_engine(store, providers, limits(config), default_model=config.default_model or None) as engine,
            open_hub(send_deadline=config.send_deadline_seconds) as hub,
        ):
            # What stands now stands for good: the collector need not look at it again, or stall the loop over it.
            gc.collect()
            gc.freeze()
            yield Opened(create_app(engine, plugins.authenticators(store), config, hub), engine, hub)


def limits(config: Config) -> Limits:
    """The core's bounds as configured."""
    return Limits(
        buffer_tokens=config.stream_buffer_tokens,
        window=config.stream_window_seconds,
        stall=config.stall_seconds,
        run_seconds=config.run_max_seconds,
        run_characters=config.run_max_characters,
        idle=config.passivation_seconds,
        recovery=config.recovery,
        retention=config.delta_retention_hours * 3600,
    )


def _providers(plugins: Plugins) -> Sequence[Provider]:
    # The first model of the first provider is the default: a real model before the one that only echoes.
    return sorted(plugins.providers(os.environ), key=lambda provider: provider.name == "echo")


async def drain(opened: Opened, grace: float) -> None:
    """No new work; running answers finish within ``grace`` seconds; then readers are sent away, to come back later."""
    await opened.engine.drain(grace)
    opened.hub.drain()


# --- the process -------------------------------------------------------------------------------------------------


async def _serve(config: Config) -> None:
    connections = ConnectionLimits(send_deadline=config.send_deadline_seconds)
    settings = make_config(config.host, config.port, limits=connections)
    # Its lines go where ours go, and ours say where we are.
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.errorlog.setLevel(logging.WARNING)
    sockets = open_sockets(settings)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        async with open_all(config) as opened, trio.open_nursery() as listening:
            stopped = trio.Event()
            listening.start_soon(_obey, signals, opened, config.shutdown_grace_seconds, stopped)
            async with trio.open_nursery() as serving:
                addresses: list[str] = await serving.start(
                    partial(serve_guarded, opened.app, settings, shutdown_trigger=stopped.wait, sockets=sockets)
                )
                _welcome(addresses, opened.engine)
            listening.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], opened: Opened, grace: float, stopped: trio.Event) -> None:
    """Print what is alive on SIGUSR1; on the first order to stop, drain; on the second, stop at once."""
    async with trio.open_nursery() as nursery:
        async for number in signals:
            if number == signal.SIGUSR1:
                log.info("what is alive:\n%s", opened.engine.tree())
            elif opened.engine.draining:
                opened.hub.drain()
                stopped.set()
            else:
                log.info("stopping: running answers have %g s", grace)
                nursery.start_soon(_drain_then_stop, opened, grace, stopped)


async def _drain_then_stop(opened: Opened, grace: float, stopped: trio.Event) -> None:
    await drain(opened, grace)
    stopped.set()


def _welcome(addresses: Sequence[str], engine: Engine) -> None:
    model = engine.default_model or "no model: see `trialogue plugins`"
    log.info("answering with %s", model)
    # The last line is the one to click.
    for address in addresses:
        print(f"Trialogue is at {address}", flush=True)
