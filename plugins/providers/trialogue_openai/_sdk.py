"""The SDK and its HTTP client: imported and built on first use, in a thread, because together they take half a second.

Everything else that needs them imports this package's other modules only once ``open_sdk`` has returned.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any
from urllib.request import getproxies

import httpx2
import openai

from trialogue_openai._tap import tapped_transport

#: The server bounds its runs itself, and a lane its responses. Connections that are not used go after a while.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0)
#: ``read`` is the wait for the head of a response.
_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)


def open_sdk(key: str, base_url: str) -> openai.AsyncOpenAI:
    """A client with connections of its own. May be called in a thread that is not Trio's; quick from the second time."""
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, http_client=_http_client(), timeout=_TIMEOUT)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # 27 ms and 0.8 MB


def _http_client() -> httpx2.AsyncClient:
    # Proxies of the environment are the client's business, and it finds them only with a transport of its own.
    transport: Any = None if getproxies() else tapped_transport(_LIMITS, _tls())  # Any: the type is not public
    hooks = {"response": [_leave_waiting_to_us]}
    return httpx2.AsyncClient(
        transport=transport, verify=_tls(), limits=_LIMITS, timeout=_TIMEOUT, event_hooks=hooks, follow_redirects=True
    )


async def _leave_waiting_to_us(response: httpx2.Response) -> None:
    """The SDK repeats a request that failed in a moment; it does not sit out what the upstream asks us to wait.

    A person may be waiting: the core says so, and decides.
    """
    if response.status_code == 429 or "retry-after" in response.headers:
        response.headers["x-should-retry"] = "false"
