"""The conformance kit for extractors, with pytest and pytest-trio. Files are read as the server has them read: each in a
child process of its own, with little memory.

    class TestPdf(ExtractorKit):
        extractor = Extractor("pdf", ("application/pdf",), "trialogue_pages.pdf:read")
        file, says = PDF_OF_A_LETTER, {"text": "Dear"}
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
import trio

from trialogue._files.extractor import Extractor
from trialogue._files.inspection import Bounds, Inspection, inspect

#: What the server allows for by default would let a check wait for a minute.
_BOUNDS = Bounds(seconds=20, memory=768 * 1024 * 1024, characters=10_000)
#: What none may have imported in the child: the server, whose secrets are no business of a stranger's file.
_SERVER = ("trialogue_server", "trio", "quart", "hypercorn")


class ExtractorKit:
    """Subclass it and say what is read; each method that begins with ``test_`` states one promise of the port."""

    #: What the plugin declares.
    extractor: ClassVar[Extractor]
    #: A file that can be read, of at least a hundred bytes.
    file: ClassVar[bytes]
    #: What of it is found: for the text a part of it, for everything else the whole value.
    says: ClassVar[Mapping[str, object]]
    #: Files that cannot be read, besides those that the kit makes of ``file``. Each is refused in a sentence.
    unreadable: ClassVar[tuple[bytes, ...]] = ()
    #: Whether any bytes can be read, as those of a text.
    reads_anything: ClassVar[bool] = False

    async def test_it_is_declared_as_it_should(self) -> None:
        assert self.extractor.name
        assert self.extractor.media_types
        for media_type in self.extractor.media_types:
            assert re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", media_type), f"{media_type!r} is no whole media type"
        module, _, function = self.extractor.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function))

    async def test_it_finds_what_is_there(self, tmp_path: Path) -> None:
        found = await self._read(tmp_path, self.file)
        assert found.failed is None, found.failed
        for field, value in self.says.items():
            told = getattr(found, field)
            assert str(value) in (told or "") if field == "text" else told == value, f"{field} is {told!r:.200}"
        for variant in found.variants:
            assert variant.media_type.startswith("image/")
            assert variant.data

    async def test_it_finds_the_same_again(self, tmp_path: Path) -> None:
        assert await self._read(tmp_path, self.file) == await self._read(tmp_path, self.file)

    async def test_it_gives_no_more_text_than_is_kept(self, tmp_path: Path) -> None:
        found = await self._read(tmp_path, self.file, msgspec.structs.replace(_BOUNDS, characters=3))
        assert len(found.text or "") <= 3

    @pytest.mark.parametrize("cut", [0, 1, 10, 0.5, 0.99])
    async def test_a_file_that_was_cut_off_is_told_or_read_in_part(self, tmp_path: Path, cut: float) -> None:
        size = cut if isinstance(cut, int) else int(len(self.file) * cut)
        self._check(await self._read(tmp_path, self.file[:size]), f"cut off after {size} bytes")

    @pytest.mark.parametrize("step", [3, 29, 211])
    async def test_a_file_that_is_damaged_does_no_harm(self, tmp_path: Path, step: int) -> None:
        damaged = bytearray(self.file)
        damaged[step::step] = bytes(byte ^ 0xA5 for byte in damaged[step::step])
        self._check(await self._read(tmp_path, bytes(damaged)), f"each {step}th byte changed")

    @pytest.mark.parametrize("kind", ["zeros", "noise", "text"])
    async def test_another_kind_of_file_is_refused_in_words(self, tmp_path: Path, kind: str) -> None:
        other = {"zeros": bytes(5_000), "noise": bytes(range(256)) * 40, "text": b"Nothing of the kind. " * 200}
        found = await self._read(tmp_path, other[kind])
        self._check(found, kind)
        assert self.reads_anything or found.failed, f"{kind} was taken for such a file"

    async def test_what_cannot_be_read_is_refused_in_words(self, tmp_path: Path) -> None:
        for at, content in enumerate(self.unreadable):
            found = await self._read(tmp_path, content)
            assert found.failed, f"unreadable[{at}] was read"
            self._check(found, f"unreadable[{at}]")

    async def test_it_takes_nothing_of_the_server_with_it(self) -> None:
        code = f"import sys, {self.extractor.function.partition(':')[0]}; print(*sys.modules)"
        done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True, stderr=subprocess.DEVNULL)
        imported = {name.partition(".")[0] for name in done.stdout.decode().split()}
        assert not imported & {*_SERVER}, "the import of its module, and of the package that is in, has to be small"

    async def _read(self, folder: Path, content: bytes, bounds: Bounds = _BOUNDS) -> Inspection:
        path = folder / "file"
        path.write_bytes(content)
        with path.open("rb") as source:
            return await inspect(self.extractor.function, source.fileno(), bounds)

    def _check(self, found: Inspection, what: str) -> None:
        """It was read or refused, within its bounds, and did not die of it."""
        if found.failed is not None:
            assert 0 < len(found.failed) <= 300, f"{what}: refused without words, or with too many"
            assert not re.search(r"Traceback|Error\b|0x[0-9a-f]{6}", found.failed), f"{what}: {found.failed!r}"
            assert not found.failed.startswith("it cannot be read: it is damaged, or"), (
                f"{what}: it died of it. Raise a ValueError with a sentence for the file's owner"
            )
            assert "cannot be used" not in found.failed, f"{what}: it returned what nobody can use"
        assert len(found.text or "") <= _BOUNDS.characters
