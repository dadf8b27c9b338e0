"""Requests counted together by all who share a Redis.

A bucket is one number, the time at which it is full again, on Redis' clock: nodes' clocks do not matter. A bucket that is
full is not kept, so every key has an end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import Limiter, Quota, Taken
from trialogue_redis._client import Redis
from trialogue_redis._errors import RedisError
from trialogue_redis._script import Script

#: Whole microseconds throughout. For each bucket: what one request takes, and what an empty bucket takes to fill. Answers
#: for each: how long until it is full, and until it has one more; the latter is not 0 where that is why all was refused.
_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full, wait, refused = {}, {}, false
for i, key in ipairs(KEYS) do
    local each, whole = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local used = math.max((tonumber(redis.call('GET', key)) or 0) - now, 0)
    full[i], wait[i] = used, math.max(used + each - whole, 0)
    if wait[i] > 0 then refused = true end
end
for i, key in ipairs(KEYS) do
    if not refused then
        full[i] = full[i] + tonumber(ARGV[2 * i - 1])
        redis.call('SET', key, string.format('%.0f', now + full[i]), 'PX', math.ceil(full[i] / 1000))
    end
end
local said = {}
for i = 1, #KEYS do
    said[2 * i - 1], said[2 * i] = full[i], wait[i]
end
return said
""")


class RedisLimiter(Limiter):
    """Counts in Redis while it is there, and in ``fallback`` while it is not: each process by itself, then."""

    def __init__(self, redis: Redis, fallback: Limiter) -> None:
        self._redis = redis
        self._fallback = fallback
        self._alone = 0

    def __repr__(self) -> str:
        return f"<RedisLimiter {self._redis!r} alone={self._alone}>"

    async def take(self, asked: Sequence[tuple[Quota, str]]) -> Sequence[Taken]:
        keys = [f"trialogue:quota:{quota.name}:{key}" for quota, key in asked]
        sizes = [size for quota, _ in asked for size in (_each(quota), _each(quota) * quota.requests)]
        try:
            said: list[int] = await self._redis.run_script(_TAKE, keys, *sizes)
        except RedisError:
            self._alone += 1
            return await self._fallback.take(asked)
        found = zip(asked, said[::2], said[1::2], strict=True)
        return [_taken(quota, full, wait) for (quota, _), full, wait in found]

    def statistics(self) -> Mapping[str, int]:
        """Requests that were counted without Redis, and what the fallback says."""
        return {**self._fallback.statistics(), "alone": self._alone}


def _taken(quota: Quota, full: int, wait: int) -> Taken:
    each = _each(quota)
    return Taken(quota, max(quota.requests - -(-full // each), 0), full / 1e6, wait / 1e6)


def _each(quota: Quota) -> int:
    """The time in which one request comes back."""
    return max(round(quota.seconds * 1e6 / quota.requests), 1)
