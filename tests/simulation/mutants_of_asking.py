"""Mutants of how providers are asked: whom to leave alone, when not to ask again, and what a failover costs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import PropertyMock, patch

from msgspec.structs import replace
from simulation.mutant import mutant

from trialogue import RunStarted
from trialogue._actors.activation import Activation
from trialogue._asking import asking
from trialogue._asking.breaker import Breaker
from trialogue._asking.lane import Lane
from trialogue._runs import failover
from trialogue._runs import run as runs


@mutant
def breaker_is_ignored() -> AbstractContextManager[object]:
    """Who has failed too often is asked all the same."""

    def wait(breaker: Breaker) -> float:
        return 0.0

    return patch.object(Breaker, "wait", property(wait))


@mutant
def asked_again_after_a_piece() -> AbstractContextManager[object]:
    """A request is made again although a part of its answer was shown."""
    return patch.object(asking.Question, "begun", PropertyMock(return_value=False), create=True)


@mutant
def successor_opens_the_charge_again() -> AbstractContextManager[object]:
    """The run that failed is charged, and stays on the account as well."""

    def charge(activation: Activation, event: Any, before: Any) -> None:
        original(activation, event, before)
        if isinstance(event, RunStarted) and event.cause == "failover" and activation.state.run is not None:
            run = event.before[-1]
            activation._charges[run] = replace(activation._charges[run], status="reserved", ended_at=None)

    original = Activation._charge
    return patch.object(Activation, "_charge", charge)


@mutant
def turns_are_not_kept() -> AbstractContextManager[object]:
    """Everybody is served at once."""

    def delay(lane: Lane, tokens: int) -> float:
        return 0.0

    return patch.object(Lane, "delay", delay)


@mutant
def failovers_without_end() -> AbstractContextManager[object]:
    """An answer that fails is gone on with for as long as it takes."""

    async def find(writer: Any, *args: Any, **named: Any) -> Any:
        limits = writer.node.limits
        writer.node.limits = replace(limits, failovers=1_000_000)
        try:
            return await original(writer, *args, **named)
        finally:
            writer.node.limits = limits

    original = failover.find_successor
    return patch.object(runs, "find_successor", find)
