"""Where a reader begins, over server-sent events and a WebSocket alike: a source, its first bytes, and what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trialogue import Principal
from trialogue_server._hub import Source, Tag
from trialogue_server._serving.services import Services


class Opening(NamedTuple):
    """What the hub is to send: ``preface``, and then the frames of ``source`` from number ``seq`` on.

    The preface is some megabytes perhaps, and a stream lasts for hours: it is handed over once, and held by nobody.
    """

    source: Source
    preface: Callable[[], bytes]
    seq: int
    tag: Tag


def tag_of(principal: Principal, conversation: str = "") -> Tag:
    """By what a stream of the caller's is found when it has to end."""
    return Tag(principal.user.id, principal.credential, conversation)


async def open_conversation(services: Services, principal: Principal, name: str, cursor: str | None) -> Opening:
    """The events of a conversation after ``cursor``, or a snapshot and what follows it.

    Raises ``NotFoundError`` (or another's), ``InvalidError`` (no cursor), ``StorageError``.
    """
    conversation = await services.owned(principal, name)
    tail, preface, seq = await services.engine.follow(conversation.id, cursor)
    return Opening(tail, [preface].pop, seq, tag_of(principal, conversation.id))


async def open_list(services: Services, principal: Principal, cursor: str | None, rows: int) -> Opening:
    """The caller's list as it changes after ``cursor``, or a snapshot of so many rows and what follows it.

    Raises ``InvalidError`` (no cursor), ``StorageError``.
    """
    feed, preface, seq = await services.engine.feeds.resume(principal.user.id, cursor, rows)
    return Opening(feed, [preface].pop, seq, tag_of(principal))
