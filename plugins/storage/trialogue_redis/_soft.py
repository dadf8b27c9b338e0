"""The port, over one client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from trialogue import Bus, Limiter, SoftState, SoftStatistics
from trialogue_redis._bus import RedisBus
from trialogue_redis._client import Redis, open_redis
from trialogue_redis._limiter import RedisLimiter
from trialogue_redis._url import Address


class RedisSoftState(SoftState):
    """What is shared through one Redis."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def __repr__(self) -> str:
        return f"<RedisSoftState {self.redis!r}>"

    def limiter(self, fallback: Limiter) -> Limiter:
        return RedisLimiter(self.redis, fallback)

    def bus(self, cluster: str) -> Bus:
        return RedisBus(self.redis, cluster)

    def statistics(self) -> SoftStatistics:
        found = self.redis.statistics()
        return SoftStatistics(found.connected, found.commands, found.failures, found.connections)


@asynccontextmanager
async def open_soft_state(address: Address) -> AsyncGenerator[SoftState]:
    """It is there for the block, whether or not Redis is."""
    async with open_redis(address) as redis:
        yield RedisSoftState(redis)
