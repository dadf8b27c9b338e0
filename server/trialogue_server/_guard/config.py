"""The Hypercorn configuration we serve with, and why it differs from Hypercorn's."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypercorn.config import Config

from trialogue_server._guard.limits import Limits, set_limits
from trialogue_server._guard.sockets import inherited_fds


def make_config(
    host: str = "127.0.0.1",
    port: int = 4512,
    *,
    fds: Sequence[int] | None = None,
    grace: float = 10.0,
    keep_alive: float = 75.0,
    head_limit: int = 32_768,
    websocket_limit: int = 1_048_576,
    access_log: str | None = None,
    limits: Limits | None = None,
) -> Config:
    """A configuration for ``serve_guarded``.

    ``host`` is a name, an address or ``unix:/path``. ``fds`` are listening sockets somebody else opened; ``None`` takes
    those that systemd passed, if any, and only otherwise ``host`` and ``port``. ``grace`` is how long answers may go on
    after the shutdown trigger returned.
    """
    config = Config()
    passed = inherited_fds(os.environ, os.getpid()) if fds is None else list(fds)
    config.bind = [f"fd://{fd}" for fd in passed] or [_address(host, port)]
    config.backlog = 2048  # A hundred is filled by one page that reconnects after a restart.
    config.graceful_timeout = grace
    config.keep_alive_timeout = keep_alive  # Longer than nginx keeps its own (60 s): it must be the one that closes.
    config.keep_alive_max_requests = 1_000_000  # A proxy's connection is used by everybody; a thousand is a second.
    config.h11_max_incomplete_size = head_limit
    config.websocket_max_message_size = websocket_limit
    config.websocket_ping_interval = 25.0  # Proxies cut silence at 60 s; two misses and the peer is gone.
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    config.accesslog = access_log
    set_limits(config, limits if limits is not None else Limits())
    return config


def _address(host: str, port: int) -> str:
    if host.startswith("unix:"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
