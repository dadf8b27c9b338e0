"""A bus made of one channel. What nodes tell each other goes to all who listen, and is not kept."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from trialogue import Bus, Ear
from trialogue_redis._client import Redis
from trialogue_redis._subscription import Subscription


class RedisBus(Bus):
    """See ``trialogue.Bus``. ``cluster`` keeps apart those who share one Redis and nothing else."""

    def __init__(self, redis: Redis, cluster: str) -> None:
        self._redis = redis
        self._channel = f"trialogue:{cluster}:news"

    def __repr__(self) -> str:
        return f"<RedisBus {self._channel} open={self.is_open}>"

    @property
    def is_open(self) -> bool:
        return self._redis.is_connected

    def say(self, message: bytes) -> None:
        self._redis.tell("PUBLISH", self._channel, message)

    @contextmanager
    def listen(self) -> Generator[Ear]:
        with self._redis.subscribe(self._channel) as subscription:
            yield RedisEar(subscription)


class RedisEar(Ear):
    """A listener."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def hear(self) -> bytes | None:
        item = await self._subscription.receive()
        return item if isinstance(item, bytes) else None
