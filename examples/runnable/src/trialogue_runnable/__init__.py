"""A plugin for Trialogue: a runnable of langchain-core answers in the place of the model.

RUNNABLE=on switches it on. Which runnable it is, says ``chain``.
"""

from collections.abc import Mapping, Sequence

from trialogue import ConfigurationError, TurnHook, hookimpl
from trialogue_runnable.loop import RunnableLoop


@hookimpl
def trialogue_turns(environment: Mapping[str, str]) -> Sequence[TurnHook]:
    """One loop, if it is wanted."""
    wanted = environment.get("RUNNABLE", "off")
    if wanted not in ("on", "off"):
        raise ConfigurationError(f"RUNNABLE={wanted!r} must be on or off")
    return [RunnableLoop()] if wanted == "on" else []
