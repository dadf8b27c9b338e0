"""What is kept of a conversation in memory, and that a model is shown the same with it as without."""

from __future__ import annotations

from datetime import UTC, datetime

from trialogue import Message, TextPart
from trialogue._actors.recent import Recent


def said(name: str, text: str = "hello") -> Message:
    return Message(name, "c", "user", (TextPart(text),), datetime(2026, 1, 1, tzinfo=UTC))


def names(recent: Recent) -> list[str]:
    return list(recent._messages)


def test_the_first_go_first_and_the_size_is_kept() -> None:
    recent = Recent(limit=1000)
    for number in range(100):
        recent.put(said(str(number)))
    assert names(recent)[-1] == "99"
    assert 1 < len(names(recent)) < 10
    recent.put(said("too large", "x" * 2000))
    assert names(recent) == []
    recent.put(said("a"))
    assert names(recent) == ["a"]


def test_a_message_is_kept_as_it_is_now() -> None:
    recent = Recent()
    recent.put(said("a", "before"))
    recent.put(said("a", "after"))
    assert recent.get("a") == said("a", "after")
    assert recent.get("b") is None
    recent.drop("a")
    assert recent.get("a") is None
    recent.put(said("a"))
    recent.clear()
    assert recent.get("a") is None


def test_what_was_read_is_older_than_what_was_said() -> None:
    recent = Recent(limit=1000)
    recent.put(said("now"))
    recent.learn([said("3"), said("2"), said("1", "x" * 1000), said("0")])
    assert names(recent) == ["2", "3", "now"], "as far as there is room, without a gap"
    recent.learn([said("now", "as it was")])
    assert recent.get("now") == said("now")
