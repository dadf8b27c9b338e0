"""Ranges: what is asked for is what is sent, whatever is asked; a header that means nothing is ignored."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialogue_server._http.errors import RangeError
from trialogue_server._http.ranges import MOST, Parts, Span, parse_ranges


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [Span(0, 1)]),
        ("BYTES=5-", [Span(5, 10)]),
        ("bytes=-3", [Span(7, 10)]),
        ("bytes=-30", [Span(0, 10)]),
        ("bytes=8-99", [Span(8, 10)]),
        ("bytes= 0-1 , 4-5", [Span(0, 2), Span(4, 6)]),
        ("bytes=4-5,0-1", [Span(4, 6), Span(0, 2)]),
        ("bytes=0-4,3-6", [Span(0, 7)]),
        ("bytes=0-1,2-3", [Span(0, 4)]),
        ("bytes=0-1,20-30", [Span(0, 2)]),
        ("bytes=0-0,4-4,2-2,1-3", [Span(0, 5)]),
    ],
)
def test_what_is_asked_for(header: str, spans: list[Span]) -> None:
    assert parse_ranges(header, 10) == spans


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=a-b", "bytes=5-4", "bytes=-", "bytes=1", "items=0-1", "bytes=0-1;2-3"),
        *("bytes=--1", "bytes=٣-٤", "bytes=" + "1" * 30 + "-", "bytes=" + ",".join(["0-0"] * (MOST + 1))),
    ],
)
def test_what_means_nothing_is_ignored(header: str) -> None:
    assert parse_ranges(header, 10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_what_is_not_there_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeError) as caught:
        parse_ranges(header, size)
    assert caught.value.size == size


specs = st.one_of(
    st.builds("{}-{}".format, st.integers(0, 40), st.integers(0, 40)),
    st.builds("{}-".format, st.integers(0, 40)),
    st.builds("-{}".format, st.integers(0, 40)),
)


@given(st.lists(specs, min_size=1, max_size=MOST), st.integers(0, 30))
def test_every_byte_asked_for_is_sent_once(asked: list[str], size: int) -> None:
    wanted: set[int] = set()
    for spec in asked:
        first, last = spec.split("-")
        if first and last and int(first) > int(last):
            return  # Malformed, and then all of it is ignored.
        start = int(first) if first else max(size - int(last), 0)
        stop = int(last) + 1 if first and last else size
        wanted.update(range(start, min(stop, size)))
    try:
        spans = parse_ranges("bytes=" + ",".join(asked), size)
    except RangeError:
        assert wanted == set()
        return
    assert spans is not None
    sent = [byte for span in spans for byte in range(span.start, span.stop)]
    assert sorted(sent) == sorted(wanted)


@given(st.text(max_size=60))
def test_no_header_breaks_it(header: str) -> None:
    with suppress(RangeError):
        parse_ranges("bytes=" + header, 10)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8))
def test_length_of_parts_is_what_they_take(starts: list[int]) -> None:
    spans = [Span(start, start + 5) for start in starts]
    parts = Parts(spans, 100, "text/plain", "boundary")
    assert parts.length == sum(len(head) + len(span) for head, span in parts) + len(parts.end)
