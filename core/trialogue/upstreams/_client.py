"""The HTTP client that SDKs, and questions without an SDK, are asked through."""

from __future__ import annotations

import ssl
from functools import lru_cache
from urllib.request import getproxies

import httpx2

from trialogue.upstreams._transport import WireTransport

#: For a client with a transport of its own: connections that are not used go after a while.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0)


def make_client() -> tuple[httpx2.AsyncClient, WireTransport | None]:
    """A client, and the transport of ours below it. Made in a thread: trust in certificates takes long to load.

    Proxies of the environment are the client's business, and it finds them only with a transport of its own.
    """
    transport = None if getproxies() else WireTransport(_tls())
    return httpx2.AsyncClient(transport=transport, verify=_tls(), limits=_LIMITS, follow_redirects=True), transport


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # 27 ms and 0.8 MB
