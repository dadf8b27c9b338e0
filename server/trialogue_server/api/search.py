"""Searching what was said, by words, by meaning and by place. How things are found is the business of ``Searcher``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
import trio
from msgspec import Meta

from trialogue import Circle, EmbedderError, Found, Hit, HitKind, InvalidError, Role, SearchMode, SearchQuery
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import SlowSearchError
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route

Where: TypeAlias = Literal["messages", "files", "titles"]
_KINDS: dict[Where, HitKind] = {"messages": "message", "files": "file", "titles": "title"}
#: Half of the Earth's girth in metres, rounded up: a circle that holds everything.
_EVERYWHERE = 20_100_000
_PLACE = re.compile(r"(-?\d{1,3}(?:\.\d{1,15})?), ?(-?\d{1,3}(?:\.\d{1,15})?)")


class SearchParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"in_": "in", "from_": "from"}):
    """What is looked for, where, and how."""

    q: (
        Annotated[
            str, Meta(max_length=1_000, description="Words, all of which are wanted; the last may be begun only.")
        ]
        | None
    ) = None
    mode: Annotated[
        SearchMode | None, Meta(description="By words, by meaning, or both; unset, both where there is an embedder.")
    ] = None
    in_: Annotated[tuple[Where, ...], Meta(description="What may be found, between commas; unset, all of it.")] = (
        "messages",
        "files",
        "titles",
    )
    conversation: Annotated[str | None, Meta(description="Only in this conversation.")] = None
    role: Annotated[Role | None, Meta(description="Only messages of this role.")] = None
    model: Annotated[str | None, Meta(description="Only answers of this model.")] = None
    from_: Annotated[datetime, Meta(tz=True, description="Only what was made at this moment or later.")] | None = None
    to: Annotated[datetime, Meta(tz=True, description="Only what was made before this moment.")] | None = None
    near: (
        Annotated[
            str, Meta(max_length=50, examples=["46.948,7.447"], description="Latitude and longitude, in degrees.")
        ]
        | None
    ) = None
    radius: Annotated[
        float, Meta(ge=0, le=_EVERYWHERE, description="Metres from `near` within which it was said or taken.")
    ] = 1_000.0
    limit: Limit = 20
    cursor: PageCursor | None = None


class SearchPage(msgspec.Struct, frozen=True):
    """Hits, best first; with ``has_more``, ``cursor`` leads to the next page. ``matches`` are places in the ``snippet``.

    ``ranked`` says whether all that matches was compared, or the newest of very much. ``pending`` counts texts that were
    not compared by meaning, as their vectors are not made yet.
    """

    hits: tuple[Hit, ...]
    cursor: str | None
    has_more: bool
    mode: SearchMode
    ranked: Literal["all", "newest"]
    pending: int | None


async def search(services: Services, call: Call) -> Reply:
    """Search messages, files and titles.

    What was acknowledged is found at once by its words. What is in the trash is not found.
    """
    principal = await services.principal(call)
    asked = read_query(call, SearchParameters)
    seconds = services.config.search_seconds
    found: Found | None = None
    with trio.move_on_after(seconds):
        found = await services.searcher.search(
            principal.user.id, _query(asked), min(asked.limit, 100), mode=asked.mode, cursor=asked.cursor or None
        )
    if found is None:
        raise SlowSearchError(
            f"the search took longer than {seconds:g} s (search_seconds): look for longer or rarer words, or use filters",
            retry_after=1,
        )
    page = SearchPage(found.hits, found.cursor, found.cursor is not None, found.mode, found.ranked, found.pending)
    return json_reply(page, headers=next_page(call, found.cursor))


def _query(asked: SearchParameters) -> SearchQuery:
    return SearchQuery(
        text=(asked.q or "").strip(),
        kinds=tuple(_KINDS[where] for where in dict.fromkeys(asked.in_)),
        conversation=asked.conversation,
        role=asked.role,
        model=asked.model,
        since=asked.from_,
        until=asked.to,
        near=None if asked.near is None else _circle(asked.near, asked.radius),
    )


def _circle(near: str, radius: float) -> Circle:
    found = _PLACE.fullmatch(near)
    lat, lon = (float(found[1]), float(found[2])) if found else (91.0, 0.0)
    if abs(lat) > 90 or abs(lon) > 180:
        raise InvalidError(f"query parameter near={near!r}: expected latitude,longitude in degrees, as 46.948,7.447")
    return Circle(lat, lon, radius)


ROUTES = (
    Route(
        "GET",
        "/api/search",
        search,
        query=SearchParameters,
        reply=SearchPage,
        headers=("Link",),
        problems=(SlowSearchError, EmbedderError),
    ),
)
