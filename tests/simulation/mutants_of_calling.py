"""Mutants of tool calls: known before they are made, made once, approved where need be, and never without a result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import force_setattr
from simulation.mutant import mutant

from trialogue import Event, OpenCall, Settings, Tool
from trialogue._deciding import recovering, running
from trialogue._runs import calling
from trialogue._runs.writer import Writer
from trialogue._tools.toolbox import Toolbox


@mutant
def tools_called_before_the_log_knows() -> AbstractContextManager[object]:
    """A tool is started while its call is being committed."""

    async def make_calls(writer: Writer) -> None:
        async def at_once() -> None:
            pass

        with patch.object(writer.activation, "wait_settled", at_once):
            await original(writer)

    original = calling.make_calls
    return patch("trialogue._runs.loop.make_calls", make_calls)


@mutant
def calls_made_again_after_a_crash() -> AbstractContextManager[object]:
    """Whoever takes a run over makes every call again that has no result."""

    def recover(draft: Any, command: Any, known: Any) -> Any:
        run = draft.state.run
        if run is not None and not run.parked and command.resume:
            for call in run.steps.calls:
                force_setattr(call, "idempotent", True)
        return original(draft, command, known)

    original = recovering.recover
    return patch("trialogue._deciding.decide.recover", recover)


@mutant
def nobody_is_asked() -> AbstractContextManager[object]:
    """What needs approval is called without."""

    def asks(toolbox: Toolbox, tool: Tool, settings: Settings) -> bool:
        return False

    return patch.object(Toolbox, "asks", asks)


@mutant
def calls_left_without_result() -> AbstractContextManager[object]:
    """A run that is ended leaves its open calls as they are."""

    def close(*given: Any, keep: bool = False) -> Sequence[Event]:
        return original(*given, keep=True)

    original = running.close
    return patch("trialogue._deciding.draft.close", close)


@mutant
def calls_forgotten_by_whoever_goes_on() -> AbstractContextManager[object]:
    """The run that goes on after a crash knows nothing of the calls it waits for."""

    def followed(*given: Any) -> Event:
        run, following, at, cause, _calls = given
        none: tuple[OpenCall, ...] = ()
        return original(run, following, at, cause, none)

    original = running.followed
    return patch("trialogue._deciding.recovering.followed", followed)
