"""What a run costs, and where prices come from: a dated file of our own, and the operator's file over it.

All sums are whole numbers. A price is in micro-dollars per million tokens, which is picodollars per token; a run's cost is
summed in those and rounded once, to nano-dollars. A model whose price nobody states has none: its cost stays unknown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from trialogue._facts.errors import ConfigurationError
from trialogue._facts.values import Model, Prices, Rates, Usage

#: A count beyond this is a mistake of whoever counted; it could not be summed up for ever either.
BELIEVABLE = 10**12
#: Dollars per million tokens beyond which a price is a slip of the pen.
DEAREST = 1_000_000


def rates_for(prices: Prices, input_tokens: int) -> Rates:
    """The rates that hold for a request of so many tokens."""
    is_long = prices.long is not None and prices.long_above is not None and input_tokens > prices.long_above
    return prices.long if is_long and prices.long is not None else prices


def cost_of(usage: Usage, prices: Prices) -> int | None:
    """The cost in nano-dollars; ``None`` when a count that costs something is absent."""
    rates = rates_for(prices, usage.input_tokens or 0)
    asked, said = _input_cost(usage, rates), _output_cost(usage, rates)
    return None if asked is None or said is None else nano_dollars(asked + said)


def plus(one: Usage | None, other: Usage) -> Usage:
    """Both together. A count that one of them lacks is the other's; a cost is known only where both are."""
    if one is None:
        return other
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    counts = {name: _sum(getattr(one, name), getattr(other, name)) for name in names}
    cost = None if one.cost is None or other.cost is None else one.cost + other.cost
    reported = one.source == other.source == "reported"
    return Usage("reported" if reported else "estimated", cost=cost, **counts)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def nano_dollars(picodollars: int) -> int:
    """Rounded to the nearest."""
    return (picodollars + 500) // 1000


def _input_cost(usage: Usage, rates: Rates) -> int | None:
    if usage.input_tokens is None:
        return None if rates.input else 0
    # Each token is charged once, whatever a provider says about caches.
    read = min(usage.cache_read_tokens or 0, usage.input_tokens)
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - read)
    fresh = usage.input_tokens - read - written
    return (
        fresh * rates.input + read * _or(rates.cache_read, rates.input) + written * _or(rates.cache_write, rates.input)
    )


def _output_cost(usage: Usage, rates: Rates) -> int | None:
    if usage.output_tokens is None:
        return None if rates.output else 0
    thought = min(usage.reasoning_tokens or 0, usage.output_tokens)
    return (usage.output_tokens - thought) * rates.output + thought * _or(rates.reasoning, rates.output)


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate


def priced(usage: Usage, prices: Prices | None) -> Usage:
    """``usage`` with its cost, unless it brings one; counts that cannot be are taken for absent."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost")
    wrong = [name for name in names if not 0 <= (getattr(usage, name) or 0) <= BELIEVABLE]
    if wrong:
        usage = replace(usage, **dict.fromkeys(wrong))
    if prices is None or usage.cost is not None:
        return usage
    return replace(usage, cost=cost_of(usage, prices))


# --- where prices come from ------------------------------------------------------------------------------------------


class Listed(msgspec.Struct, frozen=True):
    """What a file says about a model."""

    prices: Prices
    output_tokens: int | None = None


class PriceList:
    """Prices by full model id, or by the beginning of one with ``*`` behind it. The longest that fits counts."""

    def __init__(self, listed: Mapping[str, Listed] | None = None, *, own: Mapping[str, Listed] | None = None) -> None:
        #: What the operator says, which is believed of every model.
        self._own = dict(own or {})
        #: What vendors publish, believed of those that are asked themselves.
        self._listed = dict(listed or {})

    def __repr__(self) -> str:
        return f"<PriceList listed={len(self._listed)} own={len(self._own)}>"

    def complete(self, model: Model, vendor: str | None) -> Model:
        """``model`` with what is known of its prices. ``vendor`` is who is asked, where that is known."""
        found = _find(self._own, model.id)
        if found is None and model.prices is not None:
            return model  # Its provider has said it, or the list did before.
        if found is None and vendor is not None:
            found = _find(self._listed, f"{vendor}:{model.id.partition(':')[2]}")
        if found is None:
            return model
        return replace(model, prices=found.prices, output_tokens=model.output_tokens or found.output_tokens)


def _find(listed: Mapping[str, Listed], model: str) -> Listed | None:
    if model in listed:
        return listed[model]
    fitting = [name for name in listed if name.endswith("*") and model.startswith(name[:-1])]
    return listed[max(fitting, key=len)] if fitting else None


def load_prices(file: Path | None = None) -> PriceList:
    """Our own file, and the operator's ``file`` over it. Raises ``ConfigurationError``."""
    listed = parse_prices(resources.files("trialogue").joinpath("prices.toml").read_text("utf-8"), "prices.toml")
    if file is None:
        return PriceList(listed)
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"prices file {str(file)!r} cannot be read: {error}") from error
    return PriceList(listed, own=parse_prices(text, str(file)))


def parse_prices(text: str, name: str) -> dict[str, Listed]:
    """The prices in a TOML text: a table for each model, in dollars per million tokens. Raises ``ConfigurationError``."""
    try:
        # Any: what somebody wrote; checked field by field. Decimals, since 0.1 as a binary fraction is not what is meant.
        content: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not TOML: {error}") from error
    return {model: _listed(model, table, name) for model, table in content.items()}


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """A table of the file, as it is written there."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None


class _Table(_Row, forbid_unknown_fields=True):
    long_above: int | None = None
    long: _Row | None = None
    output_tokens: int | None = None
    #: Where it was read, and when; for people.
    source: str = ""


def _listed(model: str, table: object, file: str) -> Listed:
    provider, _, rest = model.partition(":")
    if not provider or not rest or "*" in model[:-1]:
        raise ConfigurationError(
            f'{file}: {model!r} is no model id: write "provider:model", with one "*" at its end if need be'
        )
    try:
        row = msgspec.convert(table, _Table)
        return _checked(row)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"{file}: {model!r}: {str(error).replace('`', '')}") from error


def _checked(row: _Table) -> Listed:
    if (row.long is None) != (row.long_above is None):
        raise ValueError("long and long_above go together: write both or neither")
    for name in ("long_above", "output_tokens"):
        if getattr(row, name) is not None and getattr(row, name) < 1:
            raise ValueError(f"{name} must be at least 1, and is {getattr(row, name)}")
    long = None if row.long is None else Rates(**_rates(row.long))
    return Listed(Prices(**_rates(row), long_above=row.long_above, long=long), row.output_tokens)


def _rates(row: _Row) -> dict[str, Any]:  # Any: whole numbers, some of which may be absent.
    names = ("input", "output", "cache_read", "cache_write", "reasoning")
    return {name: _micro_dollars(name, value) for name in names if (value := getattr(row, name)) is not None}


def _micro_dollars(name: str, dollars: Decimal) -> int:
    if not dollars.is_finite() or not 0 <= dollars <= DEAREST:
        raise ValueError(f"{name} must be from 0 to {DEAREST} dollars per million tokens, and is {dollars}")
    micros = dollars * 1_000_000
    if micros != micros.to_integral_value():
        raise ValueError(f"{name} has more than six places behind the point: {dollars}")
    return int(micros)
