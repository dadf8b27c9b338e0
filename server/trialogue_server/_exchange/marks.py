"""The marks that stand in ChatGPT's texts where its page shows something else, and the sources of an answer.

A mark begins and ends with a sign of the private use area, and has a kind and fields between others of them. What is named
or linked is part of the sentence and stays as words; where a source was cited, nothing was read, and the mark goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from trialogue import CitationPart
from trialogue_server._exchange.values import list_of, objects_of

# Any: what a foreign document holds is looked at before it is used.

_BEGIN, _END, _BETWEEN = "\ue200", "\ue201", "\ue202"
_MARK = re.compile(f"{_BEGIN}([^{_END}]*){_END}")
#: Signs that stand alone, as a text was cut, and the marks of older texts.
_STRAY = re.compile("[\ue200-\ue206]|\u3010\\d+(?::\\d+)?\u2020[^\u3011]*\u3011")
#: Sources of one answer that are kept.
_MOST_SOURCES = 50

_decode = msgspec.json.Decoder().decode


def unmarked(text: str) -> str:
    """``text`` as it was read."""
    return _STRAY.sub("", _MARK.sub(_shown, text))


def _shown(mark: re.Match[str]) -> str:
    kind, *fields = mark[1].split(_BETWEEN)
    if kind == "entity" and fields:
        return _named(fields[0])
    if kind == "url" and len(fields) > 1:
        return f"[{fields[0]}]({fields[1]})"
    return ""


def _named(field: str) -> str:
    """The name in ``["kind", "name", ...]``, or what stands there instead."""
    try:
        found: Any = _decode(field)
    except (msgspec.DecodeError, RecursionError):
        return field
    names = [one for one in list_of(found) if isinstance(one, str)]
    return names[1] if len(names) > 1 else ""


def sources_of(metadata: dict[str, Any]) -> Iterator[CitationPart]:
    """Where an answer has it from, each address once."""
    found: dict[str, str | None] = {}
    for source in _sources(metadata):
        url, title = source.get("url"), source.get("title")
        if isinstance(url, str) and url and len(found) < _MOST_SOURCES:
            found.setdefault(url, title if isinstance(title, str) and title else None)
    for url, title in found.items():
        yield CitationPart(url, title)


def _sources(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in [*objects_of(metadata.get("content_references")), *objects_of(metadata.get("citations"))]:
        yield one
        yield from objects_of([one.get("metadata")])
        yield from objects_of(one.get("items"))
    for group in objects_of(metadata.get("search_result_groups")):
        yield from objects_of(group.get("entries"))
