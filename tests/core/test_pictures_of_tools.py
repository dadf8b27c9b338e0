"""Pictures that tools return: kept as uploads are, shown to a model that sees, and gone with their conversation."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import trio
from PIL import Image
from support import NOW, Talk, open_talk

import trialogue_documents
from trialogue import (
    FileLimits,
    ForkConversation,
    Library,
    Limits,
    Message,
    Tool,
    Toolbox,
    ToolCallPiece,
    ToolFile,
    ToolOutput,
    ToolResultPart,
    ToolReturned,
    files_of,
    new_id,
    open_engine,
    open_library,
    tool,
)
from trialogue._deciding.running import UNKNOWN
from trialogue.testing import Fault, MemoryStore, ScriptedProvider

LIMITS = Limits(file_patience=10)


def png(width: int = 8) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, 8), "red").save(out, "PNG")
    return out.getvalue()


def bomb() -> bytes:
    """A few kilobytes that say to be a picture of a gigapixel."""
    data = bytearray(png())
    data[16:24] = (40_000).to_bytes(4, "big") * 2
    return bytes(data)


def returns(*files: ToolFile, text: str = "Here.") -> Tool:
    @tool(name="draw", idempotent=True)
    async def draw() -> ToolOutput:
        """Draws."""
        await trio.lowlevel.checkpoint()
        return ToolOutput(text, files=files)

    return draw


class World:
    """An engine with a library, whose model calls ``draw`` and goes on."""

    def __init__(self, talk: Talk, store: MemoryStore, library: Library, provider: ScriptedProvider) -> None:
        self.talk, self.store, self.library, self.provider = talk, store, library, provider

    async def answer(self) -> Message:
        receipt = await self.talk.post("Draw!")
        await self.talk.settled()
        answer = await self.store.message(receipt.answer or "")
        assert answer is not None
        return answer

    async def result(self) -> ToolResultPart:
        (result,) = (part for part in (await self.answer()).parts if isinstance(part, ToolResultPart))
        return result

    def told(self) -> ToolResultPart:
        """The result as the model was shown it."""
        parts = self.provider.requests[-1].messages[-1].parts
        (result,) = (part for part in parts if isinstance(part, ToolResultPart))
        return result


@asynccontextmanager
async def open_world(
    folder: Path, draw: Tool, *, sees: bool = True, limits: Limits = LIMITS, files: FileLimits | None = None
) -> AsyncGenerator[World]:
    store = MemoryStore()
    provider = ScriptedProvider([ToolCallPiece("draw", "{}")], ["Done."], tools=True, sees=sees)
    extractors = trialogue_documents.trialogue_extractors()
    async with (
        open_library(store.files, folder, extractors, files or FileLimits()) as library,
        open_engine(store, [provider], limits, toolbox=Toolbox([draw]), library=library) as engine,
    ):
        yield World(await open_talk(engine), store, library, provider)


async def test_picture_is_kept_as_an_upload_is_and_shown_to_the_model(tmp_path: Path) -> None:
    data = png()
    async with open_world(tmp_path, returns(ToolFile("red.png", data, "image/png"))) as world:
        result = await world.result()
        (part,) = result.files
        assert (result.text, result.failed) == ("Here.", False)
        assert (part.name, part.media_type) == ("red.png", "image/png")
        file = await world.store.files.file(part.file)
        assert file is not None
        assert file.owner == "ann"
        async with world.library.open(file) as content:
            assert await content.read(0, file.size) == data
        assert (await world.store.files.space("ann", NOW)).used == len(data)
        assert world.told() == result
        shown = Image.open(BytesIO(b64decode(world.provider.requests[-1].images[part.file].base64)))
        assert shown.size == (8, 8)


async def test_log_holds_its_name_and_nothing_of_its_content(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("red.png", png(), "image/png"))) as world:
        result = await world.result()
        (event,) = (event for event in await world.talk.events() if isinstance(event, ToolReturned))
        assert event.files == result.files
        entries = await world.store.events(world.talk.id, 0, 1000)
        assert not any(b"iVBOR" in entry.data for entry in entries)


async def test_model_that_does_not_see_is_told_in_words(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("red.png", png(), "image/png")), sees=False) as world:
        assert (await world.result()).files
        assert world.told().files == ()
        assert "you see none" in world.told().text
        assert world.provider.requests[-1].images == {}


async def test_text_of_another_file_stands_in_the_result(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("note.txt", b"The barn is old."), text="")) as world:
        (part,) = (await world.result()).files
        assert part.media_type == "text/plain"
        assert "The barn is old." in world.told().text
        assert 'name="note.txt"' in world.told().text


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (ToolFile("a.png", b"no picture at all", "image/png"), "its content is text/plain"),
        (ToolFile("a.png", b"", "image/png"), "its content is empty"),
        (ToolFile("../\u202e\ud800", b"\0\1\2", "image/\ud800"), "its content is application/octet-stream"),
    ],
)
async def test_what_is_no_picture_though_it_says_so_is_a_failed_result(
    tmp_path: Path, file: ToolFile, words: str
) -> None:
    async with open_world(tmp_path, returns(file, ToolFile("b.png", png(), "image/png"))) as world:
        result = await world.result()
        assert result.failed
        assert words in result.text
        assert result.text.startswith("Here.")
        assert [one.name for one in result.files] == ["b.png"]


async def test_bomb_is_not_opened(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("big.png", bomb(), "image/png"))) as world:
        (part,) = (await world.result()).files
        assert world.told().files == ()
        assert "could not be read" in world.told().text
        assert world.provider.requests[-1].images == {}
        file = await world.store.files.file(part.file)
        assert file is not None
        assert file.text.state == "failed"


@pytest.mark.parametrize(
    ("limits", "files", "words", "kept"),
    [
        (Limits(tool_files=1), FileLimits(), "tool_files_per_call", ["0.png"]),
        (Limits(tool_files=0), FileLimits(), "tool_files_per_call", []),
        (Limits(tool_file_bytes=len(png()) + 1), FileLimits(), "tool_files_max_bytes", ["0.png"]),
        (Limits(), FileLimits(quota=len(png()) + 1), "left out", []),
        (Limits(), FileLimits(per_upload=1), "files_per_upload", []),
        (Limits(), FileLimits(bytes=5), "file_max_bytes", []),
    ],
)
async def test_what_is_too_much_is_left_out_and_said_to_be(
    tmp_path: Path, limits: Limits, files: FileLimits, words: str, kept: list[str]
) -> None:
    pictures = [ToolFile(f"{number}.png", png(), "image/png") for number in range(2)]
    async with open_world(tmp_path, returns(*pictures), limits=limits, files=files) as world:
        result = await world.result()
        assert [part.name for part in result.files] == kept
        assert words in result.text
        assert not result.failed
        space = await world.store.files.space("ann", NOW)
        assert (space.files, space.reserved) == (len(kept), 0)


async def test_junk_is_a_failed_result(tmp_path: Path) -> None:
    junk: Any = ToolFile(None, "text")  # type: ignore[arg-type]  # on purpose
    async with open_world(tmp_path, returns(junk)) as world:
        result = await world.result()
        assert (result.failed, result.files) == (True, ())


async def test_where_no_files_are_kept_it_says_so() -> None:
    store, provider = MemoryStore(), ScriptedProvider([ToolCallPiece("draw", "{}")], ["Done."], tools=True)
    box = Toolbox([returns(ToolFile("red.png", png(), "image/png"))])
    async with open_engine(store, [provider], LIMITS, toolbox=box) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("Draw!")
        await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        (result,) = (part for part in answer.parts if isinstance(part, ToolResultPart))
        assert "no files are kept here" in result.text


async def test_next_answer_and_a_fork_see_it_and_it_goes_with_the_last_that_names_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("red.png", png(), "image/png"))) as world:
        answer = await world.answer()
        (part,) = files_of(answer.parts)
        copy = new_id()
        await world.talk.engine.fork(ForkConversation(copy, "ann", NOW, world.talk.id))
        first, world.talk.id = world.talk.id, copy
        assert (await world.answer()).status == "completed"
        (shown,) = (one for one in world.provider.requests[-1].messages if one.role == "assistant")
        assert tuple(files_of(shown.parts)) == (part,)
        assert list(world.provider.requests[-1].images) == [part.file]
        await world.talk.engine.purge(first)
        assert await world.store.files.file(part.file) is not None, "the copy names it"
        await world.talk.engine.purge(copy)
        assert await world.store.files.file(part.file) is None


async def test_answer_that_is_stopped_meanwhile_leaves_no_file_behind(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("red.png", png(), "image/png"))) as world:
        # The row is there; that it is, is not heard before the answer is stopped.
        world.store.faults.next("add_files", Fault(lag=60))
        receipt = await world.talk.post("Draw!")
        with trio.fail_after(10):
            while (await world.store.files.space("ann", NOW)).files == 0:
                await trio.lowlevel.checkpoint()
        await world.talk.stop()
        await world.talk.settled()
        answer = await world.store.message(receipt.answer or "")
        assert answer is not None
        assert [one.text for one in answer.parts if isinstance(one, ToolResultPart)] == [UNKNOWN]
        assert (await world.store.files.space("ann", NOW)).files == 0


async def test_file_of_which_nobody_knows_whether_it_is_kept_is_none(tmp_path: Path) -> None:
    async with open_world(tmp_path, returns(ToolFile("red.png", png(), "image/png"))) as world:
        world.store.faults.next("add_files", Fault(fail="after"))
        result = await world.result()
        assert (result.files, result.failed) == ((), False)
        assert "left out" in result.text
        assert (await world.store.files.space("ann", NOW)).files == 0


async def test_run_that_goes_on_after_a_crash_shows_it(tmp_path: Path) -> None:
    @tool
    async def hangs() -> str:
        """Never returns."""
        await trio.sleep_forever()
        raise AssertionError

    store = MemoryStore()
    script = [ToolCallPiece("draw", "{}"), ToolCallPiece("hangs", "{}")]
    provider = ScriptedProvider(script, ["Done."], tools=True, sees=True)
    box = Toolbox([hangs, returns(ToolFile("red.png", png(), "image/png"))])
    extractors = trialogue_documents.trialogue_extractors()
    async with open_library(store.files, tmp_path, extractors) as library:
        async with open_engine(store, [provider], LIMITS, toolbox=box, library=library) as engine:
            talk = await open_talk(engine)
            receipt = await talk.post("Draw!")
            await talk.until("tool.returned")
        async with open_engine(store, [provider], LIMITS, toolbox=box, library=library) as engine:
            talk.engine = engine
            await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        (part,) = files_of(answer.parts)
        assert answer.status == "completed"
        assert list(provider.requests[-1].images) == [part.file]
        assert tuple(files_of(provider.requests[-1].messages[-1].parts)) == (part,)
