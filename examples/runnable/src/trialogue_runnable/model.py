"""The conversation's model as a chat model of langchain-core's, and its messages as those."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from trialogue import Message, TextPart, Usage, text_of
from trialogue_runnable import chain
from trialogue_runnable.counting import Counter, metadata_of
from trialogue_runnable.loop import Turn

KINDS = {"user": HumanMessage, "assistant": AIMessage}
ROLES = {"human": "user", "ai": "assistant"}


class TurnModel(BaseChatModel):
    turn: Any

    @property
    def _llm_type(self) -> str:
        return "trialogue"

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        system = "\n".join(str(one.text) for one in messages if one.type == "system")
        said = [(ROLES[one.type], TextPart(str(one.text))) for one in messages if one.type in ROLES]
        rows = [Message("", "", role, (text,), datetime.now(UTC)) for role, text in said]
        for one in self.turn.ask(rows, system or None):
            said = {"usage_metadata": metadata_of(one)} if isinstance(one, Usage) else {"content": one}
            yield ChatGenerationChunk(message=AIMessageChunk(**{"content": "", **said}))

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages))


def answer(turn: Turn) -> Iterator[str | Usage]:
    """What the runnable makes of what was said; at last its usage, if all models that it asked have reported theirs."""
    counter = Counter()
    request = turn.request
    said = [KINDS[one.role](text_of(one.parts)) for one in request.messages if one.role in KINDS]
    asked = [SystemMessage(request.system), *said] if request.system else said
    yield from filter(None, chain.chain(TurnModel(turn=turn)).stream(asked, {"callbacks": [counter]}))
    if (usage := counter.usage()) is not None:
        yield usage
