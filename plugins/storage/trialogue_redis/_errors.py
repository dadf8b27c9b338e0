"""How Redis failed, for those who go on without it.

RedisError          root; whoever uses Redis goes on without it
├── RedisDown       no connection now, or it does not answer in time: nothing may have happened, or all of it
└── RedisRefused    it answered with an error; the words are its own
"""

from __future__ import annotations

from trialogue import BrokenError


class RedisError(BrokenError):
    """Redis did not do what it was asked for. What it holds may always be lost: nobody's request fails of it."""

    code = "redis"


class RedisDown(RedisError):
    """There is no connection, or no answer in time."""


class RedisRefused(RedisError):
    """It answered with an error."""
