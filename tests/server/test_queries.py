"""Query strings: what their text stands for, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from trialogue import InvalidError
from trialogue_server._http.call import Call
from trialogue_server._http.queries import read_query
from trialogue_server._openapi.schemas import parameters


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Of every kind."""

    text: str | None = None
    number: Annotated[int, Meta(ge=1, description="How many.")] = 20
    part: float | None = None
    flag: bool | None = None
    kind: Literal["a", "b"] = "a"
    several: tuple[Literal["x", "y"], ...] = ()
    from_: Annotated[datetime, Meta(tz=True)] | None = None


def read(query: bytes) -> Shape:
    return read_query(Call({"method": "GET", "path": "/", "headers": [], "query_string": query}), Shape)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", Shape()),
        (b"text=a%20b+c", Shape(text="a b c")),
        (b"text=", Shape(text="")),
        (b"text=%C3%A9", Shape(text="é")),
        (b"text=1", Shape(text="1")),
        (b"text=true", Shape(text="true")),
        (b"number=1&number=7", Shape(number=7)),
        (b"number=" + b"9" * 500, Shape(number=int("9" * 500))),
        (b"part=-0.5", Shape(part=-0.5)),
        (b"part=3", Shape(part=3.0)),
        (b"flag=true", Shape(flag=True)),
        (b"flag=false", Shape(flag=False)),
        (b"kind=b", Shape(kind="b")),
        (b"several=x,y", Shape(several=("x", "y"))),
        (b"several=", Shape()),
        (b"from=2026-01-02T03:04:05Z", Shape(from_=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))),
    ],
)
async def test_text_stands_for_a_value(query: bytes, expected: Shape) -> None:
    assert read(query) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (b"nubmer=1", "'nubmer' is no query parameter here; those that are: text, number"),
        (b"from_=2026-01-02T03:04:05Z", "no query parameter"),
        (b"number=0", "query parameter number='0'"),
        (b"number=ten", "number='ten'"),
        (b"number=1e3", "number='1e3'"),
        (b"number=1.0", "number='1.0'"),
        (b"number=", "number=''"),
        (b"number=%D9%A1", "number="),
        (b"part=nan", "part='nan'"),
        (b"part=1e400", "part="),
        (b"flag=1", "flag='1'"),
        (b"flag=True", "flag='True'"),
        (b"kind=c", "kind='c'"),
        (b"several=x,z", "several='x,z'"),
        (b"from=2026-01-02", "from="),
        (b"from=2026-01-02T03:04:05", "from="),
        (b"text=%ff", "not UTF-8"),
        (b"text=\xff", "not UTF-8"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(query: bytes, words: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(words)):
        read(query)


def test_document_says_the_same() -> None:
    described: dict[str, Any] = {one["name"]: one for one in parameters(Shape)}
    assert list(described) == ["text", "number", "part", "flag", "kind", "several", "from"]
    assert described["number"]["description"] == "How many."
    assert described["number"]["schema"] == {"type": "integer", "minimum": 1, "default": 20}
    assert described["flag"]["schema"] == {"type": "boolean"}
    assert described["kind"]["schema"] == {"enum": ["a", "b"], "default": "a"}
    assert (described["several"]["style"], described["several"]["explode"]) == ("form", False)
    assert described["from"]["schema"] == {"type": "string", "format": "date-time"}
    assert not any(one.get("required") for one in described.values())
