"""UUIDv7 identifiers from an injectable clock and random source, so that a simulation can repeat them.

Written here rather than taken from a library because no library takes both sources from outside.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from uuid import UUID

_SYSTEM = random.SystemRandom()


def make_id(now_ms: int, bits: int) -> str:
    """A UUIDv7 (RFC 9562, 5.7) of a Unix time in milliseconds and 74 random bits."""
    value = (
        (now_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (bits >> 62 & 0xFFF) << 64 | 0b10 << 62 | (bits & (1 << 62) - 1)
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id() -> str:
    """A fresh UUIDv7 from the system's clock and random source."""
    return make_id(time.time_ns() // 1_000_000, secrets.randbits(74))


def seeded_ids(seed: int, now_ms: Callable[[], int]) -> Callable[[], str]:
    """An endless source of ids that repeats itself for the same ``seed`` and clock."""
    source = random.Random(seed)
    return lambda: make_id(now_ms(), source.getrandbits(74))


def is_id(text: str) -> bool:
    """Whether ``text`` is an id in the one spelling that is stored: lower case, with hyphens."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
