"""JSON schemas of the types that requests are decoded into and answers are encoded from.

msgspec makes them. Some things it cannot know are added: in an answer a field with a default is there all the same, times
are RFC 3339, and descriptions are Markdown here and reStructuredText in the docstrings. What an absent field of a body means
is said in words: of one with the keyword ``default``, generators of clients believe that it may not be absent.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec import inspect as types

from trialogue_server._openapi.headers import Json

_REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """The schemas of all types of a document: ``taken`` ones come in, ``given`` ones go out."""

    def __init__(self, taken: Iterable[Any], given: Iterable[Any]) -> None:
        # Any: type expressions, for msgspec; typing has no name for what they are.
        self._types = [*dict.fromkeys([*taken, *given])]
        self._schemas, self.components = msgspec.json.schema_components(self._types, ref_template=_REFERENCE)
        inward = {struct.cls for struct in _structs(taken)}
        for struct in _structs(self._types):
            component = self.components.get(struct.cls.__name__)
            if component is not None:
                _finish(component, struct, always=struct.cls not in inward)
                for name, field in component["properties"].items():
                    _tell_default(field, may_be_absent=name not in component["required"])

    def of(self, kind: Any) -> Json:
        """The schema of one of the types."""
        return self._schemas[self._types.index(kind)]


def parameters(shape: type[msgspec.Struct]) -> Iterator[Json]:
    """The parameters of a query string, one for each field of its shape."""
    (_,), components = msgspec.json.schema_components([shape], ref_template=_REFERENCE)
    schema = components[shape.__name__]
    [struct] = (struct for struct in _structs([shape]) if struct.cls is shape)
    _finish(schema, struct, always=False)
    for name, field in schema["properties"].items():
        field = _without_null(field)
        parameter: Json = {"name": name, "in": "query", "description": field.pop("description", ""), "schema": field}
        if name in schema["required"]:
            parameter["required"] = True
        if field.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        yield parameter


def _without_null(field: Json) -> Json:
    # An absent parameter is what null stands for; it cannot be written in a query string.
    field = dict(field)
    kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        field |= kinds[0]
    elif kinds:
        field["anyOf"] = kinds
    if field.get("default", ...) is None:
        del field["default"]
    return field


def _finish(schema: Json, struct: types.StructType, *, always: bool) -> None:
    properties = schema["properties"]
    for field in struct.fields:
        _date(properties[field.encode_name], field.type)
    if always and not struct.cls.__struct_config__.omit_defaults:
        absent = {field.encode_name for field in struct.fields if field.default is UNSET}
        schema["required"] = [name for name in properties if name not in absent]
    if "description" in schema:
        schema["description"] = markdown(schema["description"])


def _tell_default(field: Json, *, may_be_absent: bool) -> None:
    default = field.pop("default", None)
    if may_be_absent and default not in (None, {}, []):
        said = f"Absent, it is `{msgspec.json.encode(default).decode()}`."
        field["description"] = f"{field['description']} {said}" if "description" in field else said


def _date(schema: Json, kind: types.Type) -> None:
    if any(isinstance(part, types.DateTimeType) for part in _parts(kind)):
        for one in schema.get("anyOf", [schema]):
            if one.get("type") == "string":
                one["format"] = "date-time"


def _parts(kind: types.Type) -> tuple[types.Type, ...]:
    if isinstance(kind, types.Metadata):
        return _parts(kind.type)
    return kind.types if isinstance(kind, types.UnionType) else (kind,)


def _structs(kinds: Iterable[Any]) -> list[types.StructType]:
    """Every struct that is reached from the types, each once."""
    found: dict[type, types.StructType] = {}
    waiting: list[object] = list(types.multi_type_info(list(kinds)))
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, types.StructType):
            if kind.cls in found:
                continue
            found[kind.cls] = kind
            waiting += [field.type for field in kind.fields]
        elif isinstance(kind, tuple):
            waiting += kind  # pyright: ignore[reportUnknownArgumentType] - of types, as msgspec says
        elif isinstance(kind, types.Type):
            waiting += [getattr(kind, name) for name in kind.__struct_fields__ if name != "cls"]
    return list(found.values())


def markdown(docstring: str) -> str:
    """A docstring as Markdown, its paragraphs in one line each."""
    paragraphs = inspect.cleandoc(docstring).replace("``", "`").split("\n\n")
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", paragraph) for paragraph in paragraphs)
