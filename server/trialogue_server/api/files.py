"""Files: uploading them, listing, sending and removing them. Bytes go in and out beside Quart, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trialogue import ClosedError, File, FilePart, FileView, NotFoundError, Part, QuotaError, file_view, is_id
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.downloads import Content, content_reply
from trialogue_server._http.errors import RangeError, VersionError
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._http.requests import SaidFile, SaidPart
from trialogue_server._http.uploads import Pace, read_files
from trialogue_server._serving.expiry import held_reply, while_it_holds
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Answer, Route


class Uploaded(msgspec.Struct, frozen=True):
    """The files of an upload, in the order in which they were sent."""

    files: tuple[FileView, ...]


class FileList(msgspec.Struct, frozen=True):
    """A page of files, newest first."""

    files: tuple[FileView, ...]
    cursor: str | None
    has_more: bool


class FilesQuery(msgspec.Struct, frozen=True):
    """Which files, and how many."""

    cursor: PageCursor | None = None
    limit: Limit = 50
    q: (
        Annotated[str, Meta(min_length=1, max_length=200, description="Part of the name, in any case of letters.")]
        | None
    ) = None
    type: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z0-9.+-]{1,100}(/[a-z0-9.+-]{0,100})?$", description="A media type, or a family: `image`."
            ),
        ]
        | None
    ) = None


class ContentQuery(msgspec.Struct, frozen=True):
    """What of the file is wanted."""

    variant: (
        Annotated[
            Literal["thumbnail", "preview"],
            Meta(description="A picture of an image instead: 320 or 1568 pixels at most, without its metadata."),
        ]
        | None
    ) = None


async def upload(services: Services, call: Call) -> Reply:
    """Upload one file or several.

    Each part of the form that has a filename is a file. What a file is, its content says. All are stored, or none.
    """
    principal = await services.principal(call)
    library, config = services.library(), services.config
    if services.engine.draining:
        raise ClosedError("the server is stopping: try again in a moment", retry_after=2)
    pace = Pace(config.upload_stall_seconds, config.upload_min_rate, config.upload_max_seconds)
    with services.held.uploads.hold(principal.user.id):
        async with while_it_holds(services, call, principal), library.upload(principal.user.id) as arriving:
            files = await read_files(call, arriving, pace)
    library.added(files)
    return json_reply(Uploaded(tuple(map(file_view, files))), 201)


async def list_files(services: Services, call: Call) -> Reply:
    """List files, newest first."""
    principal = await services.principal(call)
    query = read_query(call, FilesQuery)
    page = await services.store.files.page(
        principal.user.id, limit=min(query.limit, 200), cursor=query.cursor, name=query.q, media_type=query.type
    )
    return json_reply(FileList(tuple(map(file_view, page.files)), page.cursor, page.cursor is not None))


async def describe(services: Services, call: Call) -> Reply:
    """Describe a file: what it is, and how far reading it has come."""
    return json_reply(file_view(await owned_file(services, call)))


async def content(services: Services, call: Call) -> Reply:
    """Send a file's content, or a part of it.

    Pictures that browsers show safely are sent to be shown, everything else to be saved. Ranges and conditions work as
    HTTP has them; the ETag is the content's SHA-256.
    """
    principal = await services.principal(call)
    file = await find_file(services, principal.user.id, call.arguments["id"])
    reply = await file_content(services, call, file, read_query(call, ContentQuery))
    return held_reply(services, call, principal, reply)


async def file_content(services: Services, call: Call, file: File, query: ContentQuery) -> Reply:
    """The answer that carries what ``query`` wants of ``file``, which the caller may see."""
    library = services.library()
    if query.variant is None:
        return content_reply(call, library, Content(file.sha256, file.size, file.media_type, file.name))
    settled = await library.reading.settled(file.id, services.config.file_patience_seconds)
    variant = None if settled is None else settled.variant(query.variant)
    if variant is None:
        raise NotFoundError(f"there is no {query.variant} of {file.name!r}: it is no image that can be read")
    shown = f"{query.variant} of {file.name}"
    return content_reply(call, library, Content(variant.sha256, variant.size, variant.media_type, shown))


async def remove(services: Services, call: Call) -> Reply:
    """Remove a file for good.

    Messages that name it stay, and show that it was removed; models are not sent it any more.
    """
    await services.library().remove(await owned_file(services, call))
    return Reply(204)


async def owned_file(services: Services, call: Call) -> File:
    """The file the path names. Raises ``NotFoundError`` when it is not the caller's."""
    principal = await services.principal(call)
    return await find_file(services, principal.user.id, call.arguments["id"])


async def find_file(services: Services, owner: str, name: str) -> File:
    """A file of ``owner``. Raises ``NotFoundError``, in the same words for one that does not exist and another's."""
    file = await services.store.files.file(name) if is_id(name) else None
    if file is None or file.owner != owner:
        raise NotFoundError(f"there is no file {name[:64]!r}")
    return file


async def named_files(services: Services, owner: str, parts: Sequence[SaidPart]) -> tuple[Part, ...]:
    """What a message says, with the files it names described. Raises ``NotFoundError`` for one that is not ``owner``'s."""
    named: list[Part] = []
    for part in parts:
        if isinstance(part, SaidFile):
            file = await find_file(services, owner, part.file)
            named.append(FilePart(file.id, file.name, file.media_type))
        else:
            named.append(part)
    return tuple(named)


# What is said of any route that sends a file's content.
CONTENT_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")
CONTENT_TAKES = ("Range", "If-Range", "If-None-Match", "If-Match")
CONTENT_ALSO = (
    Answer(
        206,
        "When `Range` asks for a part; `multipart/byteranges` when it asks for several.",
        None,
        "*/*",
        (*CONTENT_HEADERS, "Content-Range"),
    ),
    Answer(304, "When `If-None-Match` names what it is.", None, None, CONTENT_HEADERS),
)
CONTENT_PROBLEMS = (RangeError, VersionError)

ROUTES = (
    Route(
        "POST",
        "/api/upload",
        upload,
        direct=True,
        upload={"file": "A file; the part may be repeated, under any name."},
        reply=Uploaded,
        status=201,
        problems=(QuotaError,),
    ),
    Route("GET", "/api/files", list_files, query=FilesQuery, reply=FileList),
    Route("GET", "/api/files/<id>/info", describe, reply=FileView),
    Route(
        "GET",
        "/api/files/<id>",
        content,
        direct=True,
        query=ContentQuery,
        media_type="*/*",
        headers=CONTENT_HEADERS,
        takes=CONTENT_TAKES,
        also=CONTENT_ALSO,
        problems=CONTENT_PROBLEMS,
    ),
    Route("DELETE", "/api/files/<id>", remove, status=204),
)
