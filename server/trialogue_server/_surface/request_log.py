"""One line for each request, once it is answered: what was asked, by whom, how it ended and how long that took.

No path and no query string, which may hold a token: the route's pattern says what was asked for. The ids of the account, the
key, the conversation and the run stand beside it, so that whatever else is logged about them can be found.
"""

from __future__ import annotations

import logging

import msgspec
import trio

from trialogue_server._http.call import Call

log = logging.getLogger("trialogue.requests")


class Line(msgspec.Struct, omit_defaults=True):
    """A line's fields: ids of ours and numbers, hence nothing to mask and nothing that could forge a second line."""

    request: str
    method: str
    status: int
    ms: float
    route: str | None = None
    bytes: int | None = None
    user: str | None = None
    key: str | None = None
    conversation: str | None = None
    run: str | None = None
    trace: str | None = None

    def __str__(self) -> str:
        """As a person reads it."""
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        head = f"{fields.pop('method')} {fields.pop('route', '?')} {fields.pop('status')} in {fields.pop('ms')} ms"
        return " ".join([head, *(f"{name}={value}" for name, value in fields.items())])


def log_request(call: Call, status: int, sent: int | None) -> None:
    """Write the line. ``status`` is 0 when the client left before it was answered; ``sent`` are the body's bytes."""
    quiet = call.route is not None and not call.route.limited
    if (call.route is None and status < 400) or not log.isEnabledFor(logging.DEBUG if quiet else logging.INFO):
        # A file of the page, or what a machine asks every few seconds.
        return
    if call.route is not None and call.route.path.startswith("/api/conversations/<id>") and 0 < status < 400:
        # What was found there is a conversation; anything else is the caller's own words.
        call.facts.setdefault("conversation", call.arguments["id"])
    line = Line(
        method=call.method[:16],
        status=status,
        ms=round((trio.current_time() - call.began) * 1000, 1),
        route=None if call.route is None else call.route.path,
        bytes=sent,
        **call.facts,
    )
    log.log(logging.DEBUG if quiet else logging.INFO, line)
