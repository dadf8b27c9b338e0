"""Asking a provider: JSON over HTTPS, with a deadline, a bound on what is read, and no redirects followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec
import trio

from trialogue import BrokenError

#: Seconds for a whole question. A person is waiting.
DEADLINE = 10.0
#: Metadata, keys and tokens are a few kilobytes.
LARGEST = 512 * 1024


async def ask(
    client: httpx2.AsyncClient,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:  # Any: what the provider says, looked at field by field
    """The status and the JSON object at ``url``, which is posted to when there is a ``form``. Raises ``BrokenError``."""
    try:
        with trio.fail_after(DEADLINE):
            status, body = await _exchange(client, url, form, headers, auth)
    except trio.TooSlowError as error:
        raise BrokenError(f"{url!r} did not answer within {DEADLINE:.0f} seconds: try again") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        raise BrokenError(f"{url!r} cannot be asked ({type(error).__name__}): try again") from error
    try:
        return status, msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenError(f"{url!r} answered {status} with something that is no JSON object") from error


async def _exchange(
    client: httpx2.AsyncClient,
    url: str,
    form: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
) -> tuple[int, bytes]:
    request = client.build_request(
        "GET" if form is None else "POST",
        url,
        data=None if form is None else dict(form),
        headers={"accept": "application/json", **(headers or {})},
    )
    response = await client.send(request, stream=True, auth=None if auth is None else httpx2.BasicAuth(*auth))
    try:
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise BrokenError(f"{url!r} answered with more than {LARGEST} bytes")
        return response.status_code, body
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.5):
            await response.aclose()
