"""What a look at something found, for an operator: whether it is right, and how to mend it when it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeAlias

import msgspec


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at. ``fix`` says what to do, unless it is ``right``; neither holds a secret."""

    what: str
    state: Literal["right", "doubtful", "wrong"]
    detail: str
    fix: str = ""


#: Looks, and changes nothing. Raises nothing that has to do with what it looks at: that is what it finds.
Checkup: TypeAlias = Callable[[], Awaitable[Sequence[Finding]]]
