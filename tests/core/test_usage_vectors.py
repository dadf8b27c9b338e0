"""What providers report, as they report it, and what it means here: totals theirs, nothing counted or charged twice."""

from __future__ import annotations

import msgspec
import pytest

from trialogue import Prices, Usage, UsagePiece, cost_of
from trialogue.anthropic_dialect import MessagesUsage, usage_of
from trialogue.openai_dialect import ChatDecoder, ResponsesDecoder, ResponsesUsage, responses_usage

#: The ``usage`` of a last chunk, the total it states, and what is kept.
CHAT: list[tuple[str, str, Usage]] = [
    (
        "plain",
        '{"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}',
        Usage("reported", 19, 10),
    ),
    (
        "cached inside the prompt, reasoning inside the completion",
        '{"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,'
        ' "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},'
        ' "completion_tokens_details": {"reasoning_tokens": 256, "accepted_prediction_tokens": 0}}',
        Usage("reported", 2006, 300, cache_read_tokens=1920, reasoning_tokens=256),
    ),
    (
        "zeros that were said",
        '{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}}',
        Usage("reported", 0, 0, cache_read_tokens=0),
    ),
    (
        "cache writes inside the prompt",
        '{"prompt_tokens": 1200, "completion_tokens": 5, "total_tokens": 1205,'
        ' "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 1000}}',
        Usage("reported", 1200, 5, cache_read_tokens=100, cache_write_tokens=1000),
    ),
    (
        "reasoning beside the completion",
        '{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,'
        ' "completion_tokens_details": {"reasoning_tokens": 94}}',
        Usage("reported", 32, 103, reasoning_tokens=94),
    ),
    (
        "details of null",
        '{"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": null}',
        Usage("reported", 7, 3),
    ),
    (
        "cached as DeepSeek counts",
        '{"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103,'
        ' "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}',
        Usage("reported", 100, 3, cache_read_tokens=64),
    ),
    ("half of it", '{"completion_tokens": 3}', Usage("reported", None, 3)),
]

#: The ``usage`` of a response, the total it states, and what is kept.
RESPONSES: list[tuple[str, str, Usage]] = [
    (
        "plain",
        '{"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 87,'
        ' "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 123}',
        Usage("reported", 36, 87, 0, 0, 0),
    ),
    (
        "cached inside the input, reasoning inside the output",
        '{"input_tokens": 2006, "input_tokens_details": {"cached_tokens": 1920}, "output_tokens": 1035,'
        ' "output_tokens_details": {"reasoning_tokens": 832}, "total_tokens": 3041}',
        Usage("reported", 2006, 1035, cache_read_tokens=1920, reasoning_tokens=832),
    ),
    (
        "written to the cache",
        '{"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 1000,'
        ' "cache_write_tokens_details": {"ttl_30m_tokens": 1000, "ttl_12h_tokens": 0}}, "output_tokens": 5,'
        ' "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1205}',
        Usage("reported", 1200, 5, 100, 1000, 0),
    ),
    (
        "details of null",
        '{"input_tokens": 7, "input_tokens_details": null, "output_tokens": 3, "total_tokens": 10}',
        Usage("reported", 7, 3),
    ),
    ("half of it", '{"output_tokens": 3}', Usage("reported", None, 3)),
]

#: The usage of ``message_start`` and of ``message_delta``, their sum as it is billed, and what is kept.
MESSAGES: list[tuple[str, str, str, int, Usage]] = [
    (
        "plain",
        '{"input_tokens": 25, "output_tokens": 1}',
        '{"output_tokens": 15}',
        40,
        Usage("reported", 25, 15),
    ),
    (
        "written to the cache",
        '{"input_tokens": 21, "cache_creation_input_tokens": 188086, "cache_read_input_tokens": 0, "output_tokens": 1}',
        '{"output_tokens": 393}',
        188500,
        Usage("reported", 188107, 393, cache_read_tokens=0, cache_write_tokens=188086),
    ),
    (
        "read from the cache",
        '{"input_tokens": 21, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 188086, "output_tokens": 1}',
        '{"input_tokens": 21, "output_tokens": 393}',
        188500,
        Usage("reported", 188107, 393, cache_read_tokens=188086, cache_write_tokens=0),
    ),
    (
        "counts that the end corrects",
        '{"input_tokens": 100, "output_tokens": 1}',
        '{"input_tokens": 140, "cache_read_input_tokens": 10, "output_tokens": 20}',
        170,
        Usage("reported", 150, 20, cache_read_tokens=10),
    ),
]


def total(usage: Usage) -> int:
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


@pytest.mark.parametrize(("reported", "meant"), [row[1:] for row in CHAT], ids=[row[0] for row in CHAT])
def test_chat_completions(reported: str, meant: Usage) -> None:
    decoder = ChatDecoder()
    finish = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    pieces = decoder.feed(finish + b'data: {"choices": [], "usage": %b}\n\ndata: [DONE]\n\n' % reported.encode())
    assert [piece.usage for piece in pieces if isinstance(piece, UsagePiece)] == [meant]
    stated = msgspec.json.decode(reported).get("total_tokens")
    assert stated in (None, total(meant))


@pytest.mark.parametrize(("reported", "meant"), [row[1:] for row in RESPONSES], ids=[row[0] for row in RESPONSES])
def test_responses(reported: str, meant: Usage) -> None:
    decoder = ResponsesDecoder()
    ended = b'data: {"type": "response.completed", "response": {"id": "resp_1", "usage": %b}}\n\n'
    pieces = decoder.feed(ended % reported.encode())
    assert [piece.usage for piece in pieces if isinstance(piece, UsagePiece)] == [meant]
    assert responses_usage(msgspec.json.decode(reported, type=ResponsesUsage)) == meant
    stated = msgspec.json.decode(reported).get("total_tokens")
    assert stated in (None, total(meant))


@pytest.mark.parametrize(
    ("start", "end", "billed", "meant"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_messages(start: str, end: str, billed: int, meant: Usage) -> None:
    first, last = (msgspec.json.decode(text, type=MessagesUsage) for text in (start, end))
    assert usage_of(first.then(last)) == meant
    assert total(meant) == billed


#: Rates so far apart that a token at the wrong one shows.
APART = Prices(1_000_000, 1_000, cache_read=100, cache_write=10, reasoning=1)


@pytest.mark.parametrize(
    ("usage", "picodollars"),
    [
        (Usage("reported", 10, 0), 10_000_000),
        (Usage("reported", 10, 0, cache_read_tokens=4), 6_000_400),
        (Usage("reported", 10, 0, cache_read_tokens=4, cache_write_tokens=5), 1_000_450),
        (Usage("reported", 0, 7_000, reasoning_tokens=2_000), 5_002_000),
        # What cannot be is not charged twice, or the other way round.
        (Usage("reported", 10, 0, cache_read_tokens=99), 1_000),
        (Usage("reported", 10, 0, cache_read_tokens=9, cache_write_tokens=9), 910),
        (Usage("reported", 0, 1_000, reasoning_tokens=9_999), 1_000),
    ],
)
def test_every_token_is_charged_once(usage: Usage, picodollars: int) -> None:
    assert cost_of(usage, APART) == (picodollars + 500) // 1000


def test_absent_count_is_no_zero() -> None:
    assert cost_of(Usage("reported", None, 5), APART) is None
    assert cost_of(Usage("reported", 5, None), APART) is None
    assert cost_of(Usage("reported", 0, 0), APART) == 0
    assert cost_of(Usage("reported"), Prices(0, 0)) == 0


def test_long_request_costs_its_own_rate_as_a_whole() -> None:
    prices = msgspec.convert(
        {"input": 1_000, "output": 2_000, "long_above": 100, "long": {"input": 5_000, "output": 9_000}}, Prices
    )
    assert cost_of(Usage("reported", 100, 1), prices) == 102
    assert cost_of(Usage("reported", 101, 1), prices) == 514


def test_sum_of_many_is_exact() -> None:
    """A seventh of a cent a million times: binary fractions would drift."""
    prices = Prices(1_428_571, 0)
    assert sum(cost_of(Usage("reported", 1_000, 0), prices) or 0 for _ in range(10_000)) == 10_000 * 1_428_571
