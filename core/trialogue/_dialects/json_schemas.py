"""Which JSON Schemas OpenAI's strict mode takes. Pure; for the bodies of requests.

In strict mode an upstream decodes to the letter of a schema, but it knows only some of JSON Schema, and refuses a request
with any other. So it is asked for where a schema is certainly one of these, and left out where that is not certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

#: What strict mode knows. Anything else in a schema is refused, or taken for what it does not mean.
_KNOWN: Final = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maximum",
    "maxItems",
    "minimum",
    "minItems",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
}
_FORMATS: Final = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
#: Levels of nesting, and properties in all, that are taken.
_DEEPEST, _MOST = 5, 100

#: Any JSON.
_Json = Any


def is_strict(schema: Mapping[str, _Json]) -> bool:
    """Whether strict mode takes ``schema``, whose root is an object."""
    return schema.get("type") == "object" and "anyOf" not in schema and _count(schema, 0) <= _MOST


def _count(schema: _Json, depth: int) -> int:
    """The properties in a schema that strict mode takes; more than it takes if it does not."""
    refused = _MOST + 1
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return refused
    schema = cast("Mapping[str, _Json]", schema)
    if set(schema) - _KNOWN or str(schema.get("format", "uuid")) not in _FORMATS or not _closed(schema):
        return refused
    properties: Mapping[str, _Json] = schema.get("properties", {})
    parts = [*properties.values(), *_several(schema.get("anyOf")), *_several(schema.get("$defs"))]
    if "items" in schema:
        parts.append(schema["items"])
    return len(properties) + sum(_count(part, depth + 1) for part in parts)


def _closed(schema: Mapping[str, _Json]) -> bool:
    """Whether it is no object, or one that has just its properties, all of them."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return False
    names = sorted(cast("Mapping[str, _Json]", properties))
    if schema.get("type") != "object":
        return not names
    return schema.get("additionalProperties") is False and sorted(map(str, cast("Sequence[_Json]", required))) == names


def _several(schemas: _Json) -> Sequence[_Json]:
    if isinstance(schemas, Mapping):
        return list(cast("Mapping[str, _Json]", schemas).values())
    return cast("Sequence[_Json]", schemas) if isinstance(schemas, list) else ()
