"""What a model is shown of files: pictures if it sees, text where there is some, else a note; and only one's own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import trio
from PIL import Image

import trialogue_documents
from trialogue import (
    File,
    FilePart,
    Library,
    Message,
    Request,
    RequestDocument,
    RequestImage,
    TextPart,
    new_id,
    open_library,
    text_of,
)
from trialogue._asking.estimates import estimate_request
from trialogue._runs.attaching import Attaching
from trialogue.openai_dialect import chat_body
from trialogue.testing import MemoryStore


@asynccontextmanager
async def library_in(folder: Path) -> AsyncGenerator[Library]:
    async with open_library(MemoryStore().files, folder, trialogue_documents.trialogue_extractors()) as library:
        yield library


async def put(library: Library, content: bytes, name: str = "note.txt", owner: str = "owner") -> File:
    async with library.upload(owner) as upload:
        await upload.begin(name)
        await upload.write(content)
        await upload.end()
        (file,) = await upload.commit()
    library.added([file])
    return file


def a_message(*parts: TextPart | FilePart) -> Message:
    return Message(new_id(), "c", "user", parts, datetime(2026, 1, 1, tzinfo=UTC))


def part_of(file: File) -> FilePart:
    return FilePart(file.id, file.name, file.media_type)


def attaching(
    library: Library | None, *, sees: bool = False, room: int = 10_000, patience: float = 20, cites: bool = False
) -> Attaching:
    return Attaching(library, "owner", sees=sees, room=room, patience=patience, cites=cites)


def picture(size: int = 2_000) -> bytes:
    out = BytesIO()
    Image.new("RGB", (size, 10), "red").save(out, "PNG")
    return out.getvalue()


async def test_text_stands_in_the_message_under_its_name(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        file = await put(library, b"The answer is 42.", 'a"b.txt')
        message = await attaching(library)(a_message(TextPart("Read this."), part_of(file)))
        assert text_of(message.parts) == 'Read this.\n<file name="a\'b.txt">\nThe answer is 42.\n</file>\n'


async def test_message_without_files_is_left_alone(tmp_path: Path) -> None:
    message = a_message(TextPart("Hello"))
    assert await attaching(None)(message) is message


async def test_long_text_is_cut_to_the_room_there_is_and_says_so(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        first, second = await put(library, b"a" * 5_000), await put(library, b"b" * 5_000)
        attach = attaching(library, room=8_000)
        newest = text_of((await attach(a_message(part_of(first)))).parts)
        assert "a" * 5_000 in newest
        older = text_of((await attach(a_message(part_of(second)))).parts)
        assert 1_000 < older.count("b") < 3_000
        assert "characters left out" in older


async def test_model_that_cites_gets_documents(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        file = await put(library, b"The answer is 42.", "note.txt")
        attach = attaching(library, cites=True, room=100)
        message = await attach(a_message(TextPart("Read this."), part_of(file)))
        assert message.parts == (TextPart("Read this."), part_of(file))
        assert attach.documents == {file.id: RequestDocument("note.txt", "The answer is 42.")}
        # It is there once, and takes of the room what it takes.
        assert "further down" in text_of((await attach(a_message(part_of(file)))).parts)
        other = await put(library, b"b" * 200)
        await attach(a_message(part_of(other)))
        assert "characters left out" in attach.documents[other.id].text
        request = Request("m", (message,), documents=attach.documents)
        assert estimate_request(request) - estimate_request(Request("m", (a_message(TextPart("Read this.")),))) == 6


async def test_model_that_sees_gets_the_picture(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        file = await put(library, picture(), "p.png")
        attach = attaching(library, sees=True)
        message = a_message(TextPart("What is it?"), part_of(file))
        assert (await attach(message)).parts == message.parts
        image = attach.images[file.id]
        assert (image.media_type, image.base64[:4]) == ("image/jpeg", "/9j/")
        assert "/9j/" not in repr(image)
        body = json.loads(chat_body(Request("m", (message,), images=attach.images)))
        text, url = body["messages"][0]["content"]
        assert text == {"type": "text", "text": "What is it?"}
        assert url["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")


async def test_model_that_does_not_see_is_told(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        file = await put(library, picture(), "p.png")
        attach = attaching(library)
        message = await attach(a_message(part_of(file)))
        assert text_of(message.parts) == "\n[file 'p.png', image/png: an image, and you see none]\n"
        assert attach.images == {}


async def test_what_cannot_be_shown_is_noted(tmp_path: Path) -> None:
    async with library_in(tmp_path) as library:
        removed, theirs = await put(library, b"x"), await put(library, b"y", owner="another")
        damaged, unknown = await put(library, b"%PDF-1.4"), await put(library, b"\x00\x01")
        await library.remove(removed)
        message = a_message(*map(part_of, (removed, theirs, damaged, unknown)))
        said = text_of((await attaching(library)(message)).parts)
        assert said.count("it was removed") == 2
        assert "it could not be read: the PDF is damaged" in said
        assert "nothing in it can be shown to you" in said


async def test_file_that_is_still_being_read_is_waited_for_within_reason(tmp_path: Path) -> None:
    async with open_library(MemoryStore().files, tmp_path) as library:
        async with library.upload("owner") as upload:
            upload._can_be_read = lambda _: True
            await upload.begin("slow.txt")
            await upload.write(b"x")
            await upload.end()
            (file,) = await upload.commit()
        began = trio.current_time()
        said = text_of((await attaching(library, patience=0.05)(a_message(part_of(file)))).parts)
        assert "has not been read yet" in said
        assert trio.current_time() - began < 10


def test_pictures_and_their_texts_keep_their_order() -> None:
    one, two = FilePart("1", "a", "image/png"), FilePart("2", "b", "image/png")
    images = {"1": RequestImage("image/png", "AA"), "2": RequestImage("image/png", "BB")}
    message = a_message(TextPart("first"), one, TextPart("second"), two)
    body = json.loads(chat_body(Request("m", (message, a_message(TextPart("plain"))), images=images)))
    kinds = [part["type"] for part in body["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url"]
    assert body["messages"][1]["content"] == "plain"
