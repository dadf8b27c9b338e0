"""The clock: a tool that tells the time, which models do not know. Needs no key and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from trialogue import ToolError, ToolLike, hookimpl, tool

__all__ = ["current_time", "trialogue_tools"]

_Zone = Annotated[str, Meta(max_length=64, description="IANA name of a time zone, for instance Europe/Berlin.")]


@tool(idempotent=True, timeout=5)
async def current_time(zone: _Zone = "UTC") -> str:
    """Tells the date, the time and the day of the week as they are now, in a time zone."""
    try:
        place = UTC if zone == "UTC" else ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:  # Names that are none, and whatever else its files are asked for.
        raise ToolError(f"there is no time zone {zone!r}: use an IANA name, as Europe/Berlin") from error
    return datetime.now(place).strftime("%A, %Y-%m-%dT%H:%M:%S%z")


@hookimpl
def trialogue_tools(environment: Mapping[str, str]) -> Sequence[ToolLike]:
    """Always one tool; it has no settings."""
    return [current_time]
