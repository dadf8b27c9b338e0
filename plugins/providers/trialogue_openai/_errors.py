"""The SDK's exceptions become ours, once, at the plugin's edge."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import cast

import httpx2
import openai

from trialogue import ProviderError
from trialogue.openai_dialect import kind_of_status, shown


def translated(error: openai.OpenAIError) -> ProviderError:
    """What ``error`` means, without secrets; the caller raises it ``from`` the original."""
    match error:
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APITimeoutError() if not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return ProviderError("the upstream did not answer in time", kind="stalled")
        case openai.APIConnectionError():
            host = error.request.url.host
            cause = type(error.__cause__).__name__
            return ProviderError(f"no connection to the upstream at {host!r} ({cause})", kind="unavailable")
        case _:
            return ProviderError(f"the upstream could not be asked: {shown(str(error))}", kind="refused")


def _of_status(error: openai.APIStatusError) -> ProviderError:
    status = error.status_code
    return ProviderError(
        f"the upstream answered {status}: {shown(_message(error.body) or error.message)}",
        kind=kind_of_status(status),
        retry_after=retry_after(error.response.headers),
    )


def _message(body: object) -> str | None:
    """The upstream's own words, from the body the SDK has already looked into."""
    message = cast("dict[str, object]", body).get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds an upstream asks to wait, in any of the three ways it may say so."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds:
            return float(milliseconds) / 1000
        return float(text) if text else None
    except ValueError:
        return _until(text)


def _until(date: str | None) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date or "").timestamp() - time.time())
    except ValueError:
        return None
