"""What an SDK raises becomes ours, once, at the plugin's edge.

SDKs of several vendors are made by one generator and raise alike: an error that holds the ``response`` it is about, or,
when there was none, the ``request``. They are told by that, so that no SDK is named here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import cast

import httpx2

from trialogue._dialects.event_lines import kind_of_status, shown
from trialogue._facts.errors import ProviderError


def translated(error: Exception) -> ProviderError:
    """What ``error`` means, without secrets; the caller raises it ``from`` the original."""
    response, request = getattr(error, "response", None), getattr(error, "request", None)
    cause = error.__cause__
    if isinstance(response, httpx2.Response):
        return _of_response(error, response)
    if isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout):
        return ProviderError("the upstream did not answer in time", kind="stalled")
    if isinstance(request, httpx2.Request):
        return ProviderError(
            f"no connection to the upstream at {request.url.host!r} ({type(cause).__name__})", kind="unavailable"
        )
    return ProviderError(f"the upstream could not be asked: {shown(str(error))}", kind="refused")


def _of_response(error: Exception, response: httpx2.Response) -> ProviderError:
    status = response.status_code
    words = message_in(getattr(error, "body", None)) or str(error)
    return ProviderError(
        f"the upstream answered {status}: {shown(words)}",
        kind=kind_of_status(status),
        retry_after=retry_after(response.headers),
    )


def message_in(body: object) -> str | None:
    """The upstream's own words, if any: in the error of the body, or in the body, as far as somebody has looked into it."""
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, object]", body)
    message = fields.get("message")
    return message if isinstance(message, str) else message_in(fields.get("error"))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds an upstream asks to wait, in any of the three ways it may say so; what cannot be waited is not said."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else float(text) if text else None
    except ValueError:
        seconds = _until(text)
    return max(seconds, 0.0) if seconds is not None and math.isfinite(seconds) else None


def _until(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
