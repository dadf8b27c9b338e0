"""The SDK and its HTTP client: imported and built on first use, in a thread, because together they take half a second.

Everything else that needs them imports this package's other modules only once ``open_sdk`` has returned.
"""

from __future__ import annotations

from typing import Any
from urllib.request import getproxies

import httpx2
import openai

from trialogue_openai._body import READ_TIMEOUT
from trialogue_openai._tap import tapped_transport

#: One connection per response under way, without end: the server bounds its runs itself. Idle ones go after a while.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)
_TIMEOUT = httpx2.Timeout(READ_TIMEOUT, connect=5.0)


def open_sdk(key: str, base_url: str | None) -> openai.AsyncOpenAI:
    """A client of its own connections. May be called in a thread that is not Trio's."""
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, http_client=_http_client(), timeout=_TIMEOUT)


def _http_client() -> httpx2.AsyncClient:
    # Proxies of the environment are the client's business, and it finds them only with a transport of its own.
    transport: Any = None if getproxies() else tapped_transport(_LIMITS)  # Any: the parameter's type is not public
    hooks = {"response": [_leave_waiting_to_us]}
    return httpx2.AsyncClient(transport=transport, limits=_LIMITS, timeout=_TIMEOUT, event_hooks=hooks)


async def _leave_waiting_to_us(response: httpx2.Response) -> None:
    """The SDK repeats a request that failed in a moment; it does not sit out what the upstream asks us to wait.

    A person may be waiting: the core says so, and decides.
    """
    if response.status_code == 429 or "retry-after" in response.headers:
        response.headers["x-should-retry"] = "false"
