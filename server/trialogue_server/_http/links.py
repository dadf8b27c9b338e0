"""The ``Link`` header of a page: where the next one is."""

from __future__ import annotations

from urllib.parse import urlencode

from trialogue_server._http.call import Call


def next_page(call: Call, cursor: str | None) -> tuple[tuple[str, str], ...]:
    """The header, or nothing on the last page. The other parameters stay as they are."""
    if cursor is None:
        return ()
    target = f"{call.path}?{urlencode({**call.parameters(), 'cursor': cursor})}"
    return (("Link", f'<{target}>; rel="next"'),)
