"""What the query string may hold: one struct for each route, a field for each parameter.

A parameter that the struct does not have is refused, as an unknown field of a body is: a misspelt ``purge`` must not be
silently without effect. Numbers are written in digits, truth values as ``true`` or ``false``, several values between
commas; of a parameter that is given twice the last one counts. A struct's defaults are what an absent parameter means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from trialogue import InvalidError
from trialogue_server._http.call import Call

Query = TypeVar("Query", bound=msgspec.Struct)

#: How many at a time; what a client asks for beyond a route's own bound is cut to that.
Limit: TypeAlias = Annotated[
    int, Meta(ge=1, description="How many at most; a larger number is cut to what is allowed.")
]
#: Where an earlier page ended, as its answer said.
PageCursor: TypeAlias = Annotated[str, Meta(description="Where to go on: the `cursor` of the page before.")]

_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_BOOLEANS = {"true": True, "false": False}
# msgspec's own words, for instance "Expected `int`, got `str` - at `$.limit`".
_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")


def read_query(call: Call, shape: type[Query]) -> Query:
    """The query string of ``call`` as a ``shape``.

    Raises ``MalformedError`` (not UTF-8) and ``InvalidError`` (an unknown parameter, or a value that cannot be).
    """
    given = call.parameters()
    check_names(given, shape)
    readers = _readers(shape)
    return _converted({name: readers[name](text) for name, text in given.items()}, shape, given)


def check_names(given: Mapping[str, str], shape: type[msgspec.Struct] | None) -> None:
    """Raises ``InvalidError`` when one of the names is no parameter of the shape; ``None`` has none at all."""
    known: Collection[str] = () if shape is None else _readers(shape)
    for name in given:
        if name not in known:
            words = f"those that are: {', '.join(known)}" if known else "this address takes none"
            raise InvalidError(f"{name[:64]!r} is no query parameter here; {words}")


def _converted(values: Mapping[str, object], shape: type[Query], given: Mapping[str, str]) -> Query:
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), given) from error


def _invalid(text: str, given: Mapping[str, str]) -> InvalidError:
    found = _AT.search(text)
    name = found[1].lstrip(".").partition("[")[0] if found else ""
    words = _AT.sub("", text).replace("`", "").partition(", got")[0]
    shown = f"query parameter {name}={given[name][:32]!r}" if name in given else "the query string"
    return InvalidError(f"{shown}: {words[:1].lower()}{words[1:]}")


# --- what a parameter's text stands for --------------------------------------------------------------------------


def _integer(text: str) -> object:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> object:
    return float(text) if _NUMBER.fullmatch(text) else text


def _boolean(text: str) -> object:
    return _BOOLEANS.get(text, text)


def _several(text: str) -> object:
    return [item for item in text.split(",") if item]


def _text(text: str) -> object:
    return text


@cache
def _readers(
    shape: type[msgspec.Struct],
) -> Mapping[str, Any]:  # Any: the functions above; a Callable would be as vague.
    hints = get_type_hints(shape)
    return {field.encode_name: _reader(hints[field.name]) for field in msgspec.structs.fields(shape)}


def _reader(hint: Any) -> Any:  # A type expression; typing has no name for what that is.
    kinds = {get_origin(kind) or kind for kind in _alternatives(hint)}
    for kind, reader in ((bool, _boolean), (float, _number), (int, _integer), (tuple, _several), (list, _several)):
        if kind in kinds:
            return reader
    return _text


def _alternatives(hint: Any) -> list[Any]:  # As above.
    if get_origin(hint) is Annotated:
        return _alternatives(get_args(hint)[0])
    if isinstance(hint, UnionType) or str(get_origin(hint)) == "typing.Union":
        return [kind for one in get_args(hint) for kind in _alternatives(one)]
    return [hint]
