"""Cutting a document into its conversations: wherever the reads end, whatever stands in it, and never more than one held."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialogue import InvalidError
from trialogue_server._exchange.splitter import NoDocumentError, Refused, split

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), max_size=5)


def reading(data: bytes, sizes: int) -> Callable[[int], bytes]:
    """Reads of so many bytes."""
    file = io.BytesIO(data)
    return lambda _: file.read(sizes)


def pieces(data: bytes, size: int = 65_536, most: int = 10_000) -> list[Any]:
    return [json.loads(one) if isinstance(one, bytes) else one for one in split(reading(data, size), most)]


@settings(max_examples=80, deadline=None)
@given(OBJECTS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_elements_come_as_they_are(objects: list[Any], size: int, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(objects, ensure_ascii=ascii_only, indent=indent).encode(errors="replace")
    assert pieces(data, size) == json.loads(data)


@settings(max_examples=30, deadline=None)
@given(OBJECTS, st.integers(60, 90))
def test_our_document_is_cut_as_it_is_written(objects: list[Any], size: int) -> None:
    body = ",\n".join(map(json.dumps, objects))
    data = f'{{"format":"trialogue","version":1,"conversations":[\n{body}\n]}}\n'.encode()
    assert pieces(data, size) == objects


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.integers(1, 40))
def test_an_object_is_one_piece(value: dict[str, Any], size: int) -> None:
    assert pieces(json.dumps(value).encode(), size) == [value]


@pytest.mark.parametrize("size", range(1, 12))
def test_escapes_are_cut_anywhere(size: int) -> None:
    value = [{"a": '\\"]}', "b": "\\\\"}, {"c": "\\", "d": '"'}, {"e": "]},["}]
    assert pieces(json.dumps(value).encode(), size) == value


def test_byte_order_mark_and_space_are_passed_over() -> None:
    assert pieces(b'\xef\xbb\xbf \n [ {"a": 1} ]', 65_536) == [{"a": 1}]
    assert pieces(b" " * 30 + b"[{}]", 10) == [{}]


def test_large_and_deep_pieces_are_passed_over_and_the_rest_goes_in() -> None:
    deep = b"[" * 200 + b"]" * 200
    data = b'[{"a":1},"' + b"x" * 20_000 + b'",{"b":' + deep + b'},{"c":3}]'
    for size in (7, 1000, 65_536):
        found = pieces(data, size)
        assert [one for one in found if not isinstance(one, Refused)] == [{"a": 1}, {"c": 3}]
        refused = [one.detail for one in found if isinstance(one, Refused)]
        assert ["larger" in refused[0], "deeper" in refused[1]] == [True, True]


@pytest.mark.parametrize("data", [b"", b"   ", b"hello", b"\xff\xfe[\x00", b'"text"', b"17", b"PK"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(NoDocumentError):
        pieces(data)


@pytest.mark.parametrize("data", [b"[", b'[{"a":1}', b'[{"a":1},', b'{"a":', b'["', b"[[[[", b'{"a":"\\'])
def test_what_is_cut_off_is_told(data: bytes) -> None:
    with pytest.raises(InvalidError, match="cut off"):
        pieces(data)


def test_what_stands_before_the_cut_was_given_out() -> None:
    found = split(reading(b'[{"a":1},{"b":2},{"c"', 65_536), 100)
    assert [next(found), next(found)] == [b'{"a":1}', b'{"b":2}']
    with pytest.raises(InvalidError):
        next(found)


def test_newer_document_is_refused() -> None:
    with pytest.raises(InvalidError, match="version 2"):
        pieces(b'{"format":"trialogue","version":2,"conversations":[]}')


def test_garbage_within_is_cut_at_its_commas() -> None:
    found = list(split(reading(b'[{"a":1},nonsense}{,{"b":2}]', 65_536), 100))
    assert found[0] == b'{"a":1}'


def test_memory_is_that_of_one_piece() -> None:
    one = b'{"text":"' + b"x" * 100_000 + b'"}'
    given_out = 0

    def read(_: int) -> bytes:
        nonlocal given_out
        given_out += 1
        return (b"[" if given_out == 1 else b",") + one if given_out < 200 else b"]" if given_out == 200 else b""

    tracemalloc.start()
    assert sum(1 for _ in split(read, 1_000_000)) == 199
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
