"""How providers are asked, as configured: the core's bounds from the settings, and settings that name nobody refused."""

from __future__ import annotations

from collections.abc import Iterable

from trialogue import AskingLimits, Backoff, BreakerLimits, ConfigurationError, LaneLimits
from trialogue_server.config import Config


def asking_limits(config: Config) -> AskingLimits:
    """The core's bounds on asking providers."""
    return AskingLimits(
        first_token=config.first_token_seconds,
        backoff=Backoff(retries=config.provider_retries, asked=config.provider_retry_after_seconds),
        breaker=BreakerLimits(
            window=config.breaker_window_seconds,
            failures=config.breaker_failures,
            share=config.breaker_share,
            rest=config.breaker_rest_seconds,
            longest=max(config.breaker_rest_seconds, config.breaker_rest_max_seconds),
        ),
        lanes={
            name: LaneLimits(
                config.provider_concurrency.get(name, 0),
                config.provider_requests_per_minute.get(name, 0),
                config.provider_tokens_per_minute.get(name, 0),
            )
            for name in _bounded(config)
        },
        most_waiting=config.provider_waiting,
        wait=config.provider_wait_seconds,
    )


def check_providers(config: Config, providers: Iterable[str]) -> None:
    """Raises ``ConfigurationError`` where a setting names a provider that is not there: a slip would go unnoticed."""
    there = sorted(providers)
    models = [model for first, others in config.fallbacks.items() for model in (first, *others)]
    for setting, names in (
        ("fallbacks", [model.partition(":")[0] for model in models]),
        ("provider_concurrency", config.provider_concurrency),
        ("provider_requests_per_minute", config.provider_requests_per_minute),
        ("provider_tokens_per_minute", config.provider_tokens_per_minute),
    ):
        for name in names:
            if name not in there:
                raise ConfigurationError(
                    f"{setting} names the provider {name!r}, and there is none: those here are "
                    f"{', '.join(there) or 'none'}; see `trialogue plugins`"
                )


def _bounded(config: Config) -> list[str]:
    return sorted(
        {*config.provider_concurrency, *config.provider_requests_per_minute, *config.provider_tokens_per_minute}
    )
