"""The chunked coding comes apart in the same way wherever the reads cut it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialogue.upstreams._chunked import ChunkedDecoder

#: Three chunks, one with an extension and one that holds a line break, the last chunk, a trailer, and what follows.
WIRE = b"5\r\nhello\r\n4;note=1\r\n\r\n, \r\n5\r\nworld\r\n0\r\nServer: x\r\n\r\nHTTP/1.1"


@given(st.lists(st.integers(0, len(WIRE)), max_size=6))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    decoder = ChunkedDecoder()
    ends = [0, *sorted(cuts), len(WIRE)]
    body = b"".join(decoder.feed(WIRE[start:stop]) for start, stop in pairwise(ends))
    assert body == b"hello\r\n, world"
    assert decoder.ended
    assert decoder.rest == b"HTTP/1.1"


def test_whole_chunks_leave_the_beginning_of_the_next() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"1\r\na\r\n2\r\nbc\r\n3\r\nd") == b"abcd"
    assert decoder.feed(b"ef\r\n") == b"ef"
    assert not decoder.ended


@pytest.mark.parametrize("wire", [b"x\r\n", b"-1\r\na\r\n", b"1\r\nab\r\n", b"1\r\na\r\n2\r\nbcd\r\n", b"1" * 5000])
def test_what_is_no_such_coding_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|invalid literal"):
        ChunkedDecoder().feed(wire)
