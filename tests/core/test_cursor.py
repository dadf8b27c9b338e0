"""Cursors: their text order is the log's order, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialogue import Cursor, Entry, InvalidError, frame, is_id, new_id, parse_cursor, seeded_ids

CURSORS = st.builds(Cursor, st.integers(1, 9999), st.integers(1, 10**10 - 1), st.integers(0, 10**12 - 1))


@given(CURSORS, CURSORS)
def test_text_order_is_log_order(one: Cursor, other: Cursor) -> None:
    places = [(cursor.generation, cursor.epoch, cursor.seq) for cursor in (one, other)]
    assert (str(one) < str(other)) == (places[0] < places[1])
    assert parse_cursor(str(one)) == one


@given(st.text(max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="cursor"):
        parse_cursor(text)


def test_frame_carries_its_cursor() -> None:
    assert frame(3, Entry(12, 4, "part.delta", b"{}")) == (
        b"id: 0003.0000000004.000000000012\nevent: part.delta\ndata: {}\n\n"
    )


def test_ids_are_version_seven_ordered_and_repeatable() -> None:
    first, second = new_id(), new_id()
    assert is_id(first)
    assert first[14] == "7"
    assert first[19] in "89ab"
    assert first[:8] <= second[:8]
    one, other = seeded_ids(7, lambda: 1000), seeded_ids(7, lambda: 1000)
    assert [one() for _ in range(5)] == [other() for _ in range(5)]


ID = "01a20d64-b220-7ca0-bc30-94330eef9a5e"


@pytest.mark.parametrize("text", ["", "x", "A" * 36, ID.upper(), ID.replace("-", ""), f"{{{ID}}}"])
def test_only_the_stored_spelling_is_an_id(text: str) -> None:
    assert is_id(ID)
    assert not is_id(text)
