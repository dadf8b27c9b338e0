"""What requests may hold: one struct for each body, and the decoder that says in words what does not fit.

Unknown fields are refused, so that a misspelt one is not silently without effect. The lengths here keep a value what it
is meant to be (a title, a name); how much may be sent at all is the limit on the body.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trialogue import DataPart, InvalidError, Location, Policy, Settings, TextPart, ToolUse, is_id
from trialogue_server._http.call import Call
from trialogue_server._http.errors import MalformedError, MediaTypeError
from trialogue_server._http.json_limits import check_json

Body = TypeVar("Body", bound=msgspec.Struct)

Title: TypeAlias = Annotated[str, Meta(max_length=500)]
Name: TypeAlias = Annotated[str, Meta(max_length=200)]
ModelId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Metadata: TypeAlias = dict[str, Any]  # Any JSON value: the client's own.


class SaidFile(msgspec.Struct, frozen=True, tag="file"):
    """A file of one's own, by its id; its name and media type are filled in."""

    file: str


#: What a person can say. The other parts are written by models and tools.
SaidPart: TypeAlias = TextPart | DataPart | SaidFile
#: All that one message says.
SaidParts: TypeAlias = Annotated[tuple[SaidPart, ...], Meta(max_length=1000)]
#: Files that one message may name, in its parts or behind them: each is looked for, and shown to the model.
MOST_FILES = 50
#: Files that go with a message, behind what it says.
SaidFiles: TypeAlias = Annotated[
    tuple[str, ...], Meta(max_length=MOST_FILES, description="Ids of files, behind the text.")
]


#: The tools that one answer may use, each by its name or with who is asked about its calls; none with an empty list.
AskedTools: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)] | ToolUse, ...],
    Meta(
        max_length=128, description="Tools that may be called, by name or as `{name, approval}`; absent: all there are."
    ),
]


class CreateBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/conversations``."""

    id: str | None = None
    title: Title | None = None
    model: ModelId | None = None
    system: str | None = None
    settings: Settings | None = None
    metadata: Metadata | None = None


class ForkBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/conversations/{id}/fork``: up to ``message``, the head if it is absent; of an answer only up to ``at``."""

    message: str | None = None
    at: Annotated[int, Meta(ge=1, description="Code points of the answer's text that are kept.")] | None = None
    title: Title | None = None
    id: str | None = None


class ShareBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/conversations/{id}/share``: the branch that ends at ``message``, or the active one."""

    message: str | None = None
    title: Title | None = None
    expires: Annotated[datetime, Meta(tz=True, description="When the link opens nothing any more.")] | None = None
    id: str | None = None


class UpdateBody(msgspec.Struct, forbid_unknown_fields=True):
    """``PATCH /api/conversations/{id}``: a merge patch (RFC 7396)."""

    title: Title | None | UnsetType = UNSET
    model: ModelId | None | UnsetType = UNSET
    system: str | None | UnsetType = UNSET
    settings: Metadata | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    folder: Name | None | UnsetType = UNSET
    head: str | UnsetType = UNSET


class PostBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/conversations/{id}/messages``. One of ``text`` and ``parts``, and ``files`` behind it."""

    text: str | None = None
    parts: SaidParts | None = None
    files: SaidFiles = ()
    parent: str | None | UnsetType = UNSET
    model: ModelId | None = None
    settings: Settings | None = None
    tools: AskedTools | None = None
    policy: Policy = "queue"
    id: str | None = None
    respond: bool = True
    metadata: Metadata | None = None
    location: Location | None = None


class EditBody(msgspec.Struct, forbid_unknown_fields=True):
    """``PATCH /api/messages/{id}``. One of ``text`` and ``parts``, and ``files`` behind it."""

    text: str | None = None
    parts: SaidParts | None = None
    files: SaidFiles = ()
    regenerate: bool = True
    model: ModelId | None = None
    settings: Settings | None = None
    id: str | None = None


class AttemptBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/messages/{id}/regenerate`` and ``.../continue``."""

    model: ModelId | None = None
    settings: Settings | None = None
    id: str | None = None


class StopBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/conversations/{id}/stop``. ``seen`` is the cursor of the last event the caller has seen."""

    run: str | None = None
    seen: Annotated[str, Meta(max_length=100)] | None = None


async def read_struct(call: Call, shape: type[Body], *, optional: bool = False) -> Body:
    """The body of ``call`` as a ``shape``; nothing at all is an empty one if it is ``optional``.

    Raises ``MediaTypeError``, ``LimitError``, ``MalformedError``, and ``InvalidError`` with a pointer.
    """
    body = await call.read_body()
    if not body and optional:
        body = b"{}"
    else:
        _check_media_type(call)
    return decode(body, shape)


def decode(body: bytes, shape: type[Body]) -> Body:
    """``body`` as a ``shape``. Raises ``MalformedError``, and ``InvalidError`` with a pointer."""
    try:
        value = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"the body is not JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise MalformedError("the body is nested too deeply to be read") from error
    for name in ("metadata", "parts", "settings"):
        check_json(getattr(value, name, None), f"/{name}")
    return value


def checked_id(text: str | None, pointer: str) -> str | None:
    """An id a client chose, or ``None``. Raises ``InvalidError``."""
    if text is not None and not is_id(text):
        raise InvalidError(f"{text[:64]!r} is not an id: send a UUID in lower case, or leave it out", pointer=pointer)
    return text


def said_parts(body: PostBody | EditBody) -> tuple[SaidPart, ...]:
    """What the message says. Raises ``InvalidError`` when it says nothing, or the same thing twice."""
    if body.text is not None and body.parts is not None:
        raise InvalidError("text and parts exclude each other: send one of them", pointer="/parts")
    parts = (body.parts or ()) if body.text is None else (TextPart(body.text),)
    if body.files and all(isinstance(part, TextPart) and not part.text.strip() for part in parts):
        parts = ()  # A file says enough.
    parts += tuple(SaidFile(file) for file in body.files)
    pointer = "/text" if body.parts is None else "/parts"
    if sum(isinstance(part, SaidFile) for part in parts) > MOST_FILES:
        raise InvalidError(f"a message names at most {MOST_FILES} files: send several messages", pointer=pointer)
    if not parts or all(isinstance(part, TextPart) and not part.text.strip() for part in parts):
        raise InvalidError("the message says nothing: send text, or parts", pointer=pointer)
    return parts


_MEDIA_TYPES = frozenset({"application/json", "application/merge-patch+json"})


def _check_media_type(call: Call) -> None:
    media_type, _, parameters = call.header("content-type").partition(";")
    if media_type.strip().lower() not in _MEDIA_TYPES:
        raise MediaTypeError(f"the body must be application/json, not {media_type.strip()[:64] or 'untyped'!r}")
    charset = re.search(r'charset\s*=\s*"?([^\s;"]+)', parameters, re.IGNORECASE)
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise MediaTypeError(f"the body must be in UTF-8, not {charset[1][:32]!r}")
    encoding = call.header("content-encoding").strip().lower()
    if encoding not in ("", "identity"):
        raise MediaTypeError(f"the body must not be compressed, and is {encoding[:32]!r}")


#: Characters of a client's own words that an error repeats.
_SHOWN = 200
# msgspec's own words, for instance "Expected `int`, got `str` - at `$.parts[1].text`".
_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")


def _invalid(text: str) -> InvalidError:
    found = _AT.search(text)
    place = found[1] if found else ""
    # "[...]" is some key of a mapping, which msgspec does not name.
    steps = re.findall(r"\.([^.\[]+)|\[(\d+)\]", place.partition("[...]")[0])
    names = [field or index for field, index in steps]
    if named := _NAMED.search(text):
        names.append(named[1][:_SHOWN])
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    detail = _AT.sub("", text).replace("`", "")[:_SHOWN]
    return InvalidError(f"{pointer or 'the body'}: {detail[:1].lower()}{detail[1:]}", pointer=pointer)
