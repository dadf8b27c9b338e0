"""What is known about a text besides its words, as words of a column of their own in the full-text index.

So a search for one owner, one conversation, one model or one month meets only what it wants, however common its words are,
and a commit writes no further page for it. A fact is a hash where it is an id: whoever finds something looks once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from trialogue import Message, SearchQuery

#: What is older or younger counts as of that day, so that a span is never made of more words than these years.
EARLIEST, LATEST = date(1970, 1, 1), date(2099, 12, 31)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)


def owner_word(owner: str) -> str:
    """The owner as one word, whatever the id looks like."""
    return "o" + _hash(owner, 24)


def message_facts(owner: str, message: Message) -> str:
    """All that is known about a message."""
    day = _date(message.created_at)
    words = [
        owner_word(owner),
        _conversation(message.conversation),
        "r" + message.role,
        _year(day),
        _month(day),
        _day(day),
    ]
    return " ".join(words if message.model is None else [*words, _model(message.model)])


def owner_match(owner: str) -> str:
    """The query for rows of ``owner``."""
    return f'owner : "{owner_word(owner)}"'


def conversation_match(owner: str, conversation: str) -> str:
    """The query for messages of one conversation of ``owner``."""
    return f'owner : ("{owner_word(owner)}" AND "{_conversation(conversation)}")'


def is_filtered(query: SearchQuery, today: date) -> bool:
    """Whether anything but the owner narrows what ``message_match`` finds."""
    others = (query.conversation, query.role, query.model)
    return any(one is not None for one in others) or bool(_span(query.since, query.until, today))


def message_match(owner: str, query: SearchQuery, today: date) -> str:
    """The query for messages of ``owner`` that pass the filters; those of the days at its ends may be too early or late."""
    wanted = [owner_word(owner)]
    if query.conversation is not None:
        wanted.append(_conversation(query.conversation))
    if query.role is not None:
        wanted.append("r" + query.role)
    if query.model is not None:
        wanted.append(_model(query.model))
    match = "owner : ({})".format(" AND ".join(f'"{word}"' for word in wanted))
    if days := _span(query.since, query.until, today):
        match += " AND owner : ({})".format(" OR ".join(f'"{word}"' for word in days))
    return match


def _span(since: datetime | None, until: datetime | None, today: date) -> list[str]:
    """The years, months and days that make up a span; nothing when it is all time."""
    if since is None and (until is None or _date(until) >= today):
        return []  # Nearly nothing is younger than today, and what is found is looked at once more.
    first = EARLIEST if since is None else _date(since)
    # The moment itself is beyond: a span up to midnight has nothing of the day that begins then.
    last = LATEST if until is None else _date(until, before=True)
    return list(_pieces(first, last)) or ["never"]


def _date(at: datetime, *, before: bool = False) -> date:
    """The day of a moment, or of the one before it."""
    if at <= _FIRST:
        return EARLIEST
    if at >= _LAST:
        return LATEST
    return (at.astimezone(UTC) - timedelta(microseconds=before)).date()


def _pieces(first: date, last: date) -> Iterator[str]:
    day = first
    while day <= last:
        if (day.month, day.day) == (1, 1) and date(day.year, 12, 31) <= last:
            yield _year(day)
            day = date(day.year + 1, 1, 1)
        elif day.day == 1 and (following := _next_month(day)) - timedelta(days=1) <= last:
            yield _month(day)
            day = following
        else:
            yield _day(day)
            day += timedelta(days=1)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _year(day: date) -> str:
    return f"y{day.year}"


def _month(day: date) -> str:
    return f"y{day.year}m{day.month}"


def _day(day: date) -> str:
    return f"y{day.year}m{day.month}d{day.day}"


def _conversation(conversation: str) -> str:
    return "c" + _hash(conversation, 16)


def _model(model: str) -> str:
    return "m" + _hash(model, 16)


# Remembered, because a commit waits for it, and who speaks now, where and to which model are few.
@lru_cache(maxsize=4096)
def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:length]
