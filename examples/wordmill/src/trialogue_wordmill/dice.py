"""A tool: dice, since models are bad at chance. Its name, description and schema are the function's."""

import random
from typing import Annotated

from msgspec import Meta

from trialogue import ToolError, tool

Sides = Annotated[int, Meta(ge=2, le=1_000, description="How many sides each of the dice has.")]
Count = Annotated[int, Meta(ge=1, le=100, description="How many dice are rolled.")]


@tool(timeout=5)
async def roll_dice(sides: Sides = 6, count: Count = 1, drop_lowest: int = 0) -> str:
    """Rolls dice. Use it whenever something has to be left to chance."""
    if not 0 <= drop_lowest < count:
        raise ToolError(f"drop_lowest is {drop_lowest}, and has to be less than the {count} that are rolled")
    rolled = sorted((random.randint(1, sides) for _ in range(count)), reverse=True)
    kept = rolled[: count - drop_lowest]
    return f"{', '.join(map(str, kept))}; together {sum(kept)}"
