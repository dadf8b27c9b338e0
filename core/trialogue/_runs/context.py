"""What a model is shown: the end of the branch that fits its context, oldest first, or what follows on a summary.

Taken from the leaf upwards, first what the actor has at hand and then, page by page, what the store has, so that a turn
costs what the context holds and not what the conversation does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from trialogue._asking.estimates import estimate_message, estimate_tokens
from trialogue._asking.provider import Request
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.state import State
from trialogue._facts.errors import NotFoundError
from trialogue._facts.values import (
    Message,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)
from trialogue._storage.store import Store

if TYPE_CHECKING:
    from trialogue._runs.attaching import Attaching

#: Messages read at once. Most conversations fit into one page.
PAGE = 32
#: What the model is told that it was asked, where its answer to that is a summary.
SUM_UP = "Sum up what we have said so far."


class Context(NamedTuple):
    """What a model is shown. ``history`` is how many tokens the branch would take of the ``room`` there is for it."""

    request: Request
    room: int
    history: int


async def build_request(
    store: Store,
    state: State,
    run: LiveRun,
    model: str,
    budget: int,
    at_hand: Sequence[Message] = (),
    learn: Callable[[Sequence[Message]], None] | None = None,
    attach: Attaching | None = None,
) -> Context:
    """The request whose response is the answer ``run`` is to write.

    ``model`` is the name inside the provider, ``budget`` what history and system prompt may take, in tokens. ``at_hand`` is
    the end of the branch, newest first, the answer included: at least what the store has not yet. The rest is read, and
    ``learn`` is told what was. ``attach`` puts what can be shown of files in their place.

    Raises ``NotFoundError`` when the answer was removed meanwhile, ``StorageError``.
    """
    header = state.header
    gathered = _Gathered(budget - estimate_tokens(header.system or ""), attach, seeking=bool(state.summaries))
    await _gather(gathered, store, header.id, run.message, at_hand, learn)
    if not gathered.messages:
        raise NotFoundError(f"the answer {run.message!r} is not there any more")
    answer, *history = gathered.messages
    done, prefix = ((answer,), "") if run.paused else so_far(answer)
    request = Request(
        model=model,
        messages=(*gathered.beginning, *_from_user(history[::-1]), *done),
        settings=run.settings,
        system=header.system,
        prefix=prefix,
        images=attach.images if attach is not None else {},
        documents=attach.documents if attach is not None else {},
        paused=run.paused,
    )
    return Context(request, gathered.room, gathered.room - gathered.left)


async def _gather(
    gathered: _Gathered,
    store: Store,
    conversation: str,
    leaf: str,
    at_hand: Sequence[Message],
    learn: Callable[[Sequence[Message]], None] | None,
) -> None:
    page, wanted = at_hand, at_hand[-1].parent if at_hand else leaf
    while page or wanted is not None:
        for message in page:
            if await gathered.take(message):
                return
        if wanted is None:
            return
        page = (await store.path(conversation, wanted, PAGE))[::-1]
        if learn is not None:
            learn(page)
        wanted = page[-1].parent if page else None


class _Gathered:
    """What fits of a branch, taken from its leaf upwards.

    A summary stands for its message and all above it, so there it ends. Where there is one further up than what fits, it is
    sought for as many tokens again: better a gap than no beginning.
    """

    def __init__(self, room: int, attach: Attaching | None, *, seeking: bool) -> None:
        #: Newest first.
        self.messages: list[Message] = []
        #: What is told in the place of what is above them.
        self.beginning: Sequence[Message] = ()
        self.room = room
        #: Of the room; below nothing by what does not fit.
        self.left: int = room
        self._attach = attach
        self._seeking = seeking
        self._sizes: list[int] = []

    async def take(self, message: Message) -> bool:
        """Take the next one; whether none above it is wanted."""
        # The answer and what it answers are always shown, however long: the provider then says it is too long.
        enough = len(self.messages) >= 2
        if enough and message.summary is not None and self._begin(message.summary, message):
            return True
        if self.left >= 0 or not enough:
            return await self._show(message, enough=enough)
        self.left -= estimate_message(message)
        return not self._seeking or self.left < -self.room

    async def _show(self, message: Message, *, enough: bool) -> bool:
        if self._attach is not None:
            message = await self._attach(message)
        size = estimate_message(message, {} if self._attach is None else self._attach.documents)
        self.left -= size
        if self.left < 0 and enough:
            return not self._seeking
        self.messages.append(message)
        self._sizes.append(size)
        return False

    def _begin(self, summary: str, message: Message) -> bool:
        """Let it begin with a summary, and the oldest messages give way to that; whether it has room."""
        size = estimate_tokens(summary) + estimate_tokens(SUM_UP)
        if size > self.room // 2:
            return False
        while sum(self._sizes) + size > self.room and len(self._sizes) > 2:
            self._sizes.pop()
            self.messages.pop()
        self.left -= size
        self.beginning = _told(summary, message)
        return True


def _told(summary: str, message: Message) -> tuple[Message, Message]:
    """A summary, as the model said it: roles still take turns, and it is followed as what a model said, no more."""
    asked = Message(message.id, message.conversation, "user", (TextPart(SUM_UP),), message.created_at)
    return asked, replace(asked, role="assistant", parts=(TextPart(summary),))


def _from_user(history: Sequence[Message]) -> Sequence[Message]:
    """What can be shown of it: no empty answers, and a user's message first, as most models want it."""
    said = [m for m in _with_results(history) if m.role != "assistant" or any(map(_is_said, m.parts))]
    first = next((place for place, message in enumerate(said) if message.role == "user"), len(said))
    return said[first:]


def _is_said(part: Part) -> bool:
    return isinstance(part, ToolCallPart) or (isinstance(part, TextPart) and bool(part.text))


def _with_results(history: Sequence[Message]) -> Sequence[Message]:
    """Results that came as messages of their own, from elsewhere, stand in the answer that has the calls."""
    found: list[Message] = []
    for message in history:
        if message.role != "tool":
            found.append(message)
        elif found and found[-1].role == "assistant":
            found[-1] = replace(found[-1], parts=found[-1].parts + message.parts)
    return found


def so_far(answer: Message) -> tuple[tuple[Message, ...], str]:
    """What earlier generations said of an answer, as a message if there were any, and the text that comes after it."""
    parts = answer.parts
    last = max((at for at, part in enumerate(parts, 1) if isinstance(part, ToolCallPart | ToolResultPart)), default=0)
    prefix = text_of(parts[last:])
    return ((replace(answer, parts=parts[:last]),) if last else ()), prefix
