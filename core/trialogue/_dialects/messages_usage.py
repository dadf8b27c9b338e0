"""What Anthropic's Messages count, and what that is here. Pure; public by way of ``anthropic_dialect``."""

from __future__ import annotations

import msgspec

from trialogue._facts.values import Usage


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class MessagesUsage(msgspec.Struct):
    """The ``usage`` of ``message_start`` and ``message_delta``; the latter's counts are those of the whole message."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None

    def then(self, later: MessagesUsage) -> MessagesUsage:
        """What is known after ``later``: what that says, and what it does not speak of."""
        told = {name: value for name, value in msgspec.structs.asdict(later).items() if value is not None}
        return msgspec.structs.replace(self, **told)


def usage_of(counts: MessagesUsage) -> Usage:
    """The counts with totals as ours are.

    Anthropic counts tokens that were read from or written to a cache beside ``input_tokens``; our totals include them.
    What was thought is in the output, there as here.
    """
    beside = (counts.cache_read_input_tokens or 0) + (counts.cache_creation_input_tokens or 0)
    return Usage(
        "reported",
        input_tokens=None if counts.input_tokens is None else counts.input_tokens + beside,
        output_tokens=counts.output_tokens,
        cache_read_tokens=counts.cache_read_input_tokens,
        cache_write_tokens=counts.cache_creation_input_tokens,
        reasoning_tokens=counts.output_tokens_details.thinking_tokens if counts.output_tokens_details else None,
    )
