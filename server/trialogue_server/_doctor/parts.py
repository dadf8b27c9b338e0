"""Plugins, and what they bring: the store, Redis, providers. And whether traces can be sent."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import trio

from trialogue import ConfigurationError, Finding, Provider, ProviderError
from trialogue_server._doctor.patient import Patient, as_told, doubtful, right, wrong
from trialogue_server._seeing.telemetry.opening import MISSING, wants

#: Seconds for one provider to list its models.
PATIENCE = 10.0
#: Providers that are always there, and are no reason to think that a key was set.
ALWAYS = ("echo", "local")


async def check_plugins(patient: Patient) -> Sequence[Finding]:
    """Those that were set aside, each with the reason."""
    plugins = patient.plugins
    # Asked, so that one whose hook fails is found.
    plugins.providers(patient.environment)
    plugins.embedders(patient.environment)
    aside = {name: reason for name, reason in plugins.set_aside.items() if name not in patient.config.disabled_plugins}
    found = [_of_aside(name, reason) for name, reason in sorted(aside.items())]
    return [right("plugins", f"{len(plugins.loaded)} are loaded"), *found]


def _of_aside(name: str, reason: str) -> Finding:
    detail, colon, fix = reason.partition(": pip install ")
    fix = f"pip install {fix}" if colon else "mend it, or name it in disabled_plugins"
    return doubtful("plugins", f"{name} is set aside: {detail}", fix)


async def check_storage(patient: Patient) -> Sequence[Finding]:
    """What the plugin for ``storage_url`` has to say, which looks and changes nothing."""
    config = patient.config
    try:
        look = patient.plugins.store_checkup(config.storage_url, config.data_dir)
        if look is None:
            patient.plugins.open_store(config.storage_url, config.data_dir)
            scheme = config.storage_url.partition(":")[0]
            return [right("storage", f"{scheme}: its plugin says nothing of its state")]
    except ConfigurationError as error:
        return [as_told("storage", error)]
    return await look()


async def check_redis(patient: Patient) -> Sequence[Finding]:
    """Whether it answers, where one is configured."""
    if not patient.config.redis_url:
        return []
    try:
        async with patient.plugins.open_soft_state(patient.config.redis_url) as soft:
            connected = soft.statistics().connected
    except ConfigurationError as error:
        return [as_told("redis", error)]
    if not connected:
        detail = "Redis does not answer: counts are not shared between processes, and hints come late"
        return [wrong("redis", detail, "see that it runs, and that redis_url and its password lead to it")]
    return [right("redis", "Redis answers")]


async def check_providers(patient: Patient) -> Sequence[Finding]:
    """Which there are; with ``ask``, whether they answer, and with which models."""
    providers = patient.plugins.providers(patient.environment)
    found: list[Finding] = []
    try:
        if all(provider.name in ALWAYS for provider in providers):
            fix = "set OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's variable (docs/providers.md)"
            found.append(doubtful("providers", "no provider of models has a key", fix))
        else:
            found.append(right("providers", ", ".join(provider.name for provider in providers)))
        prefix = patient.config.default_model.partition(":")[0]
        if prefix and prefix not in {provider.name for provider in providers}:
            detail = f"nobody serves default_model {patient.config.default_model!r}"
            found.append(wrong("providers", detail, "name a model of a provider that is there, or set its key"))
        if patient.ask:
            found += [await _asked(provider) for provider in providers]
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            for provider in providers:
                await provider.aclose()
    return found


async def _asked(provider: Provider) -> Finding:
    what = f"provider {provider.name}"
    try:
        with trio.fail_after(PATIENCE):
            models = await provider.models()
    except (ProviderError, trio.TooSlowError) as error:
        detail = str(error) or f"it did not list its models within {PATIENCE:g} s"
        return wrong(what, detail, "see that its key is right and its address can be reached from here")
    return right(what, f"it lists {len(models)} model{'' if len(models) == 1 else 's'}")


async def check_telemetry(patient: Patient) -> Sequence[Finding]:
    """Whether traces can be sent where they are asked for."""
    if not (wants(patient.environment, "TRACES") or wants(patient.environment, "METRICS")):
        return []
    try:
        there = find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        detail, _, fix = MISSING.partition(" (")
        return [doubtful("telemetry", detail, fix.rstrip(")"))]
    return [right("telemetry", "traces or metrics are sent to the collector that the environment names")]
