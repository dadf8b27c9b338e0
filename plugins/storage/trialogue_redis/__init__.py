"""Redis, for what nodes share and may lose at any moment.

    _soft          the port
    _bus           what nodes tell each other
    _limiter       requests counted together
    _client        one connection, supervised: it comes back by itself, and nobody waits for it
    _connection    the connection, which everybody shares
    _wire          bytes, out at once and in as they come
    _subscription  listeners of channels, who are told of gaps
    _script        what Redis runs at one moment
    _url           where it is
    _errors        how it fails

The client is ours because those there are either do not run on Trio or lose a connection whenever a call is cancelled.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec

from trialogue import ConfigurationError, SoftState, hookimpl


@hookimpl
def trialogue_soft_state(url: str) -> AbstractAsyncContextManager[SoftState] | None:
    """What is shared through the Redis at ``url``: ``redis:``, ``rediss:`` or ``unix:``."""
    from trialogue_redis._url import SCHEMES, parse_url

    if url.partition(":")[0] not in SCHEMES:
        return None
    if find_spec("hiredis") is None:
        raise ConfigurationError("redis_url is set, and hiredis is missing: pip install 'trialogue[redis]'")
    address = parse_url(url)
    from trialogue_redis._soft import open_soft_state

    return open_soft_state(address)
