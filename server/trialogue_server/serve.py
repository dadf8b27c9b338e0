"""What serves: what is opened in which order, from which settings, and how it is drained.

    port -> plugins -> store -> library -> providers -> engine -> hub -> searcher -> app -> connections

Each thing is open before what stands on it, and closes after it. To drain is to take no new work, to let running answers
finish within the grace, and to tell readers to come back. The process around it, with its signals, is ``_process``.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from trialogue import (
    Bounds,
    ConfigurationError,
    Embedder,
    Engine,
    FileLimits,
    Limits,
    Plugins,
    PriceList,
    Provider,
    SoftState,
    SpendingBudget,
    Toolbox,
    load_plugins,
    load_prices,
    open_engine,
    open_library,
    open_searcher,
)
from trialogue_server._administering.asks import place
from trialogue_server._administering.attended import Attended
from trialogue_server._administering.desk import open_desk
from trialogue_server._callers.logins import Logins
from trialogue_server._cluster.opening import open_part
from trialogue_server._exchange.jobs import ImportLimits, open_importer
from trialogue_server._http.call import Application
from trialogue_server._hub import Hub, open_hub
from trialogue_server._process.mounts import check_files_folder
from trialogue_server._seeing import open_seeing
from trialogue_server._seeing.listener import open_apart
from trialogue_server._serving.parts import Parts
from trialogue_server._serving.patience import asking_limits, check_providers
from trialogue_server.app import create_app
from trialogue_server.config import Config

log = logging.getLogger("trialogue.serve")


class Opened(NamedTuple):
    """What serves: the app, and what it stands on."""

    app: Application
    engine: Engine
    hub: Hub


@asynccontextmanager
async def open_app(config: Config) -> AsyncGenerator[Application]:
    """The app with all it stands on, for an ASGI server that has a lifespan. Drains when the block ends.

    Raises ``ConfigurationError``.
    """
    async with open_all(config) as opened:
        yield opened.app
        await drain(opened, config.shutdown_grace_seconds)


@asynccontextmanager
async def open_all(config: Config, port: int | None = None) -> AsyncGenerator[Opened]:
    """Everything but connections, which come to ``port``, if that is known.

    Raises ``ConfigurationError``: a setting, the data folder, a missing plugin.
    """
    plugins = load_plugins(disabled=config.disabled_plugins)
    prices = price_list(config)
    async with (
        plugins.open_store(config.storage_url, config.data_dir) as store,
        _open_soft_state(plugins, config) as soft,
        open_part(config, store, soft, port) as part,
    ):
        store.page_bytes = config.page_bytes
        providers = _providers(plugins)
        check_providers(config, [provider.name for provider in providers])
        folder = config.data_dir / config.files_dir
        # In a thread, since a share that is away answers nobody.
        await trio.to_thread.run_sync(check_files_folder, folder, abandon_on_cancel=True)
        async with (
            open_seeing(os.environ) as seeing,
            open_library(store.files, folder, plugins.extractors(), file_limits(config)) as library,
            open_searcher(store.index, embedder_of(plugins, config), config.embedding_share) as searcher,
            open_engine(
                store,
                providers,
                limits(config),
                default_model=config.default_model or None,
                library=library,
                prices=prices,
                budget=default_budget(config),
                toolbox=Toolbox(plugins.tools(os.environ), searcher, config.always_ask_tools),
                turns=plugins.turns(os.environ),
                observers=seeing.observers,
                node=part.node,
                joining=part.joining,
            ) as engine,
            open_hub(send_deadline=config.send_deadline_seconds) as hub,
            open_importer(engine, config.data_dir / "imports", import_limits(config)) as importer,
            _open_logins(plugins) as logins,
        ):
            # What stands now stands for good: the collector need not look at it again, or stall the loop over it.
            gc.collect()
            gc.freeze()
            authenticators = plugins.authenticators(store)
            parts = Parts(engine, hub, config, authenticators, logins, soft, searcher, importer, plugins, seeing, part)
            app = create_app(parts)
            prune = partial(engine.retention.all, library.sweep)
            desk = open_desk(Attended(app.services), prune, place(config.data_dir))
            async with open_apart(app, config.metrics_listen), desk:
                yield Opened(app, engine, hub)


@asynccontextmanager
async def _open_soft_state(plugins: Plugins, config: Config) -> AsyncGenerator[SoftState | None]:
    if not config.redis_url:
        yield None
        return
    async with plugins.open_soft_state(config.redis_url) as soft:
        yield soft


@asynccontextmanager
async def _open_logins(plugins: Plugins) -> AsyncGenerator[Logins]:
    redirects = plugins.redirect_logins(os.environ)
    try:
        yield Logins({login.name: login for login in redirects}, plugins.header_logins(os.environ))
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            for login in redirects:
                await login.aclose()


def limits(config: Config) -> Limits:
    """The core's bounds as configured."""
    return Limits(
        buffer_tokens=config.stream_buffer_tokens,
        window=config.stream_window_seconds,
        stall=config.stall_seconds,
        asking=asking_limits(config),
        titles=config.title_model,
        summaries="" if config.summary_model == "off" else config.summary_model,
        summary_share=config.summary_share,
        summary_tokens=config.summary_tokens,
        fallbacks=config.fallbacks,
        failovers=config.run_failovers,
        run_seconds=config.run_max_seconds,
        run_characters=config.run_max_characters,
        inbox=config.inbox_messages,
        inbox_bytes=config.inbox_bytes,
        awake=config.awake_per_user,
        idle=config.passivation_seconds,
        generations=config.run_generations,
        tool_calls=config.tool_calls_at_once,
        tool_arguments=config.tool_argument_characters,
        tool_output=config.tool_output_characters,
        tool_files=config.tool_files_per_call,
        tool_file_bytes=config.tool_files_max_bytes,
        answer_schema_bytes=config.answer_schema_bytes,
        answer_schema_seconds=config.answer_schema_seconds,
        tool_seconds=config.tool_seconds,
        approval=config.approval_hours * 3600,
        recovery=config.recovery,
        retention=config.delta_retention_hours * 3600,
        file_patience=config.file_patience_seconds,
        trash=config.trash_days * 86_400,
        audit=config.audit_days * 86_400,
        invitations=config.invitation_days * 86_400,
        history=config.history_messages,
        history_bytes=config.history_bytes,
    )


def import_limits(config: Config) -> ImportLimits:
    """The importer's bounds as configured."""
    return ImportLimits(
        config.import_max_bytes,
        config.import_max_unpacked_bytes,
        config.import_conversation_bytes,
        config.imports_per_user,
        config.import_max_failures,
    )


def file_limits(config: Config) -> FileLimits:
    """The library's bounds as configured."""
    return FileLimits(
        bytes=config.file_max_bytes,
        per_upload=config.files_per_upload,
        quota=config.files_quota_bytes,
        threads=config.file_threads,
        reading=Bounds(config.file_read_seconds, config.file_read_memory_bytes, config.file_text_characters),
    )


def embedder_of(plugins: Plugins, config: Config) -> Embedder | None:
    """The embedder as configured. Raises ``ConfigurationError`` when that is not there."""
    if config.embedder == "none":
        return None
    offered = plugins.embedders(os.environ)
    if not config.embedder:
        return next(iter(offered), None)
    for embedder in offered:
        if embedder.name == config.embedder:
            return embedder
    there = ", ".join(repr(embedder.name) for embedder in offered) or "none"
    raise ConfigurationError(
        f"there is no embedder {config.embedder!r}, of those there are {there}: see `trialogue plugins`"
    )


def price_list(config: Config) -> PriceList:
    """What models cost. Raises ``ConfigurationError``: a prices file that cannot be read, or meant."""
    return load_prices(Path(config.prices_file).expanduser() if config.prices_file else None)


def default_budget(config: Config) -> SpendingBudget:
    """What a user may use for whom nothing else was said."""
    month, day = config.budget_month_micro_dollars, config.budget_day_tokens
    return SpendingBudget(None if month < 0 else month, None if day < 0 else day)


def _providers(plugins: Plugins) -> Sequence[Provider]:
    # The first model of the first provider is the default: a real model before the one that only echoes.
    return sorted(plugins.providers(os.environ), key=lambda provider: provider.name == "echo")


async def drain(opened: Opened, grace: float) -> None:
    """No new work; running answers finish within ``grace`` seconds; then readers are sent away, to come back later."""
    await opened.engine.drain(grace)
    cluster = opened.engine.cluster
    others = () if cluster is None else cluster.sweeper.others
    opened.hub.drain(soon=any(not other.load.draining for other in others))
