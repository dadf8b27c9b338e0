"""The child process that checks a JSON Schema, and a text against it: reads both, says what is wrong, and ends.

Run as a program. Whoever writes a schema can make checking take for ever, or as much memory as there is, and the library
that checks holds up every other thread meanwhile. So it works here. It imports nothing of the server.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

import jsonschema_rs

#: Any JSON.
_Json = Any
#: The versions of JSON Schema that are known, the first for schemas that name none.
_DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
#: Code points that are said of what is wrong.
_LONGEST = 300


def bound(seconds: int, memory: int) -> None:
    """Have the system end the process when it takes too much, whatever becomes of its parent."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The library fetches what schemas name; without a descriptor it reaches neither the network nor a file.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    signal.alarm(seconds * 4)
    os.nice(10)


def find_fault(schema: _Json, text: str | None) -> _Json:
    """What is wrong with ``schema``, or with ``text``; ``None`` if nothing is."""
    named = schema.get("$schema", _DIALECTS[0])
    if not isinstance(named, str) or named.rstrip("#") not in _DIALECTS:
        return _fault("schema", f"{named!r} is not known: leave it out, or write {_DIALECTS[0]!r}", ("$schema",))
    try:
        jsonschema_rs.meta.validate(schema)
        # This engine's time grows with the text alone, whatever the pattern; look-around and back-references it has none.
        patterns = jsonschema_rs.RegexOptions()
        validator = jsonschema_rs.validator_for(schema, pattern_options=patterns, retriever=_refuse)
    except jsonschema_rs.ValidationError as error:
        return _fault("schema", error.message, error.instance_path)
    except Exception as error:  # References that lead nowhere, patterns that are none: each has a type of its own.
        return _fault("schema", str(error))
    return None if text is None else _misfit(validator, text)


def _misfit(validator: _Json, text: str) -> _Json:
    try:
        value = json.loads(text, parse_constant=_no_number)
        error = next(validator.iter_errors(value), None)
    except (ValueError, RecursionError) as error:
        return _fault("text", f"it is not JSON: {error}")
    return None if error is None else _fault("text", error.message, error.instance_path)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _refuse(uri: str) -> _Json:
    raise ValueError(f"{uri[:100]!r} is another document: only references within the schema are followed")


def _fault(where: str, detail: str, path: _Json = ()) -> _Json:
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return {"where": where, "pointer": "".join("/" + step for step in steps)[:_LONGEST], "detail": detail[:_LONGEST]}


def main() -> None:
    """Read the arguments and the question, and answer."""
    bound(*map(int, sys.argv[1:]))
    asked = json.loads(sys.stdin.buffer.read())
    print(json.dumps(find_fault(asked["schema"], asked["text"])))


if __name__ == "__main__":
    main()
