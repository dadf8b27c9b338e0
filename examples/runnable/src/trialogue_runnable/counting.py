"""What a runnable has cost: the usage that its models report, as langchain-core's and as Trialogue's."""

from threading import Lock
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, LLMResult

from trialogue import Usage


class Counter(BaseCallbackHandler):
    """Adds up what all generations report. It is told of them in whatever threads they are made."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sum: UsageMetadata | None = None
        self._open = 0

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        with self._lock:
            self._open += 1

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        for generation in (one for some in response.generations for one in some):
            usage = generation.message.usage_metadata if isinstance(generation, ChatGeneration) else None
            if usage is not None:
                with self._lock:
                    self._open -= 1
                    self._sum = add_usage(self._sum, usage)

    def usage(self) -> Usage | None:
        """All of it; ``None`` if something is missing: then it is estimated, which is more than a part of it."""
        found = self._sum
        if found is None or self._open:
            return None
        read, thought = found.get("input_token_details", {}), found.get("output_token_details", {})
        return Usage(
            "reported",
            found["input_tokens"],
            found["output_tokens"],
            read.get("cache_read"),
            read.get("cache_creation"),
            thought.get("reasoning"),
        )


def metadata_of(usage: Usage) -> UsageMetadata | None:
    """As langchain-core has it; ``None`` for an estimate."""
    given, said = usage.input_tokens, usage.output_tokens
    if usage.source != "reported" or given is None or said is None:
        return None
    details = {"cache_read": usage.cache_read_tokens, "cache_creation": usage.cache_write_tokens}
    return UsageMetadata(
        input_tokens=given,
        output_tokens=said,
        total_tokens=given + said,
        input_token_details=InputTokenDetails(**{name: n for name, n in details.items() if n is not None}),
        output_token_details=OutputTokenDetails(
            **({} if usage.reasoning_tokens is None else {"reasoning": usage.reasoning_tokens})
        ),
    )
