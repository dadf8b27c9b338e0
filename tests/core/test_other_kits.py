"""The kits of sources, logins, extractors and embedders fail for each promise that is broken, and pass what keeps them."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import struct
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from trialogue import (
    Departure,
    Embedder,
    Extractor,
    HeaderLogin,
    Identity,
    Person,
    RedirectLogin,
    Tool,
    ToolSource,
    UnauthenticatedError,
    tool,
)
from trialogue.testing import ScriptedEmbedder
from trialogue.testing.embedder_kit import EmbedderKit
from trialogue.testing.extractor_kit import ExtractorKit
from trialogue.testing.login_kits import HeaderLoginKit, LoginCase, RedirectLoginKit
from trialogue.testing.tool_source_kit import SourceCase, ToolSourceKit


def checks(kit: type) -> list[str]:
    return [name for name in dir(kit) if name.startswith("test_")]


async def fails(check: Callable[..., Any], *arguments: Any, **more: Any) -> str:
    """What the check says; it must not pass."""
    try:
        done = check(*arguments, **more)
        if inspect.isawaitable(done):
            await done
    except BaseException as error:
        if isinstance(error, trio.Cancelled | KeyboardInterrupt):
            raise
        return repr(error)
    raise AssertionError("the check passed")


# --- sources of tools ----------------------------------------------------------------------------------------------------


@tool
async def look(at: str) -> str:
    """Looks."""
    return at


class Drawer(ToolSource):
    """Has its tool once it is served."""

    name = "drawer"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.found: list[Tool] = []

    def __repr__(self) -> str:
        return f"<Drawer {self.name!r}>"

    async def tools(self) -> Sequence[Tool]:
        await trio.sleep(1 if self.fault == "asks" else 0)
        return self.found * (2 if self.fault == "twice" else 1)

    async def serve(self) -> None:
        with trio.CancelScope(shield=self.fault == "stays"):
            await trio.sleep(0.01)
            self.found = [] if self.fault == "empty" else [look]
            await trio.sleep(0.5 if self.fault == "stays" else 1_000)

    async def aclose(self) -> None:
        await trio.sleep(10 if self.fault == "does not close" else 0)


class SourceKit(ToolSourceKit):
    patience, let_go = 0.5, 0.3
    fault = ""

    @asynccontextmanager
    async def open_source(self) -> AsyncGenerator[SourceCase]:
        source = Drawer(self.fault)

        async def disturb() -> None:
            source.found = []
            if self.fault != "is gone for ever":
                source.found = [look]

        yield SourceCase(source, frozenset({"look"}), disturb)


@pytest.mark.parametrize("check", checks(ToolSourceKit))
async def test_a_source_that_keeps_its_promises_passes(check: str) -> None:
    await getattr(SourceKit(), check)()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("asks", "test_it_answers_from_memory_before_during_and_after"),
        ("twice", "test_it_has_its_tools"),
        ("empty", "test_it_has_its_tools"),
        ("stays", "test_what_it_does_in_the_background_ends_when_it_is_told_to"),
        ("does not close", "test_it_may_be_closed_without_having_been_used"),
        ("is gone for ever", "test_it_outlives_what_it_comes_from"),
    ],
)
async def test_a_source_that_breaks_one_fails(fault: str, check: str) -> None:
    kit = SourceKit()
    kit.fault = fault
    await fails(getattr(kit, check))


# --- logins --------------------------------------------------------------------------------------------------------------


class Gatehouse(RedirectLogin):
    """A place that knows one person. What it sends back is a ticket for the attempt, good once."""

    name, title = "gatehouse", "the gatehouse"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.given: set[str] = set()

    async def depart(self, callback: str) -> Departure:
        await trio.lowlevel.checkpoint()
        secret = os.urandom(16).hex()
        if self.fault == "same":
            secret = "0" * 32
        url = f"http://127.0.0.1:9/gate?for={self.ticket(secret)}"
        return Departure(url + (f"&kept={secret}" if self.fault == "tells" else ""), secret)

    def ticket(self, secret: str) -> str:
        return hashlib.sha256(secret.encode(errors="replace")).hexdigest()

    async def arrive(self, callback: str, kept: str, query: Mapping[str, str]) -> Person:
        await trio.lowlevel.checkpoint()
        ticket = query.get("ticket", "")
        if self.fault == "raises" and not kept:
            raise ValueError("no cookie")
        if self.fault == "repeats" and ticket != self.ticket(kept):
            raise UnauthenticatedError(f"the ticket {ticket!r} is not for {kept!r}")
        if "ticket" not in query or (ticket != self.ticket(kept) and self.fault != "trusts"):
            raise UnauthenticatedError("the ticket is for another attempt")
        if ticket in self.given and self.fault != "again":
            raise UnauthenticatedError("the ticket was used before")
        self.given.add(ticket)
        return Person(Identity("gatehouse", "ada"), "ada@example.org")


class GateKit(RedirectLoginKit):
    fault = ""

    @asynccontextmanager
    async def open_login(self) -> AsyncGenerator[LoginCase]:
        async def visit(url: str) -> Mapping[str, str]:
            await trio.lowlevel.checkpoint()
            return {"ticket": parse_qs(urlsplit(url).query)["for"][0]}

        person = Person(Identity("gatehouse", "ada"), "ada@example.org")
        yield LoginCase(Gatehouse(self.fault), visit, person, lambda url: {"refused": "yes"})


@pytest.mark.parametrize("check", checks(RedirectLoginKit))
async def test_a_login_that_keeps_its_promises_passes(check: str) -> None:
    await getattr(GateKit(), check)()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("same", "test_each_attempt_is_its_own"),
        ("tells", "test_what_is_kept_is_small_and_says_nothing_in_words"),
        ("raises", "test_what_was_forged_is_refused"),
        ("repeats", "test_what_was_forged_is_refused"),
        ("trusts", "test_each_attempt_is_its_own"),
        ("again", "test_an_attempt_is_good_once"),
    ],
)
async def test_a_login_that_breaks_one_fails(fault: str, check: str) -> None:
    kit = GateKit()
    kit.fault = fault
    await fails(getattr(kit, check))


class Porter(HeaderLogin):
    name = "porter"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def identify(self, headers: Mapping[str, str]) -> Person | None:
        user = headers.get("x-user", "")
        if self.fault == "names everybody":
            user = user or "nobody"
        if not user:
            return None
        if not user.isascii() or not user.isprintable() or len(user) > 100:
            if self.fault == "believes all":
                return Person(Identity("porter", user))
            raise UnauthenticatedError(f"{user!r} is no name" if self.fault == "repeats" else "x-user is no name")
        return Person(Identity("porter", user))


class PorterKit(HeaderLoginKit):
    headers, person, decisive = {"x-user": "ada"}, Person(Identity("porter", "ada")), "x-user"
    fault = ""

    def login(self) -> HeaderLogin:
        return Porter(self.fault)


def test_headers_that_are_read_rightly_pass() -> None:
    kit = PorterKit()
    kit.test_person_is_read()
    kit.test_nobody_is_named()
    kit.test_any_other_header_may_hold_anything()
    for value in ("\xff", "x" * 1_000):
        kit.test_what_makes_no_sense_is_refused(value)


@pytest.mark.parametrize(
    ("fault", "check", "arguments"),
    [
        ("names everybody", "test_nobody_is_named", ()),
        ("believes all", "test_what_makes_no_sense_is_refused", ("\xff",)),
        ("repeats", "test_what_makes_no_sense_is_refused", ("x" * 1_000,)),
    ],
)
async def test_headers_that_are_read_wrongly_fail(fault: str, check: str, arguments: tuple[str, ...]) -> None:
    kit = PorterKit()
    kit.fault = fault
    await fails(getattr(kit, check), *arguments)


# --- embedders -------------------------------------------------------------------------------------------------------------


class Faulty(ScriptedEmbedder):
    def __init__(self, fault: str) -> None:
        super().__init__({"owl": 0, "bird": 0, "train": 1, "a": 2, "x": 3})
        self.fault = fault

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        if self.fault == "blocks":
            end = trio.current_time() + 0.2
            while trio.current_time() < end:
                pass
        if self.fault == "dies" and "\ud800" in texts:
            raise ValueError("no such character")
        vectors = list(await super().embed(texts))
        match self.fault:
            case "too short":
                return [vector[:-4] for vector in vectors]
            case "too long":
                return [struct.pack("<16f", *(2 * one for one in struct.unpack("<16f", vector))) for vector in vectors]
            case "out of order":
                return vectors[::-1]
            case "says something":
                return [vector if any(vector) else struct.pack("<16f", 1, *[0] * 15) for vector in vectors]
            case "gives up":
                return vectors[:-1]
            case _:
                return vectors


class OwlKit(EmbedderKit):
    near, far = ("an owl", "the bird"), "the train"
    fault = ""

    @asynccontextmanager
    async def open_embedder(self) -> AsyncGenerator[Embedder]:
        yield Faulty(self.fault)


@pytest.mark.parametrize("check", checks(EmbedderKit))
async def test_an_embedder_that_keeps_its_promises_passes(check: str) -> None:
    await getattr(OwlKit(), check)()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("blocks", "test_the_loop_goes_on_meanwhile"),
        ("dies", "test_any_text_is_accepted"),
        ("too short", "test_a_vector_for_each_text_of_length_one"),
        ("too long", "test_a_vector_for_each_text_of_length_one"),
        ("out of order", "test_a_text_has_one_vector_whatever_it_comes_with"),
        ("says something", "test_what_says_nothing_is_nothing"),
        ("gives up", "test_calls_side_by_side_get_their_own"),
    ],
)
async def test_an_embedder_that_breaks_one_fails(fault: str, check: str) -> None:
    kit = OwlKit()
    kit.fault = fault
    await fails(getattr(kit, check))


# --- extractors ------------------------------------------------------------------------------------------------------------

READERS = """
    import json

    def read(source, characters):
        try:
            return {"text": json.loads(source.read())["letter"][:characters]}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("it is no letter") from error

    def believes(source, characters):
        return {"text": source.read().decode(errors="replace")}

    def dies(source, characters):
        return {"text": json.loads(source.read())["letter"]}

    def says_nothing(source, characters):
        raise ValueError(f"<object at {id(source):#x}>")

    def forgets(source, characters):
        return {}
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of extractors, and that it is found: by us and by children."""
    module = tmp_path / "letter_readers.py"
    module.write_text(textwrap.dedent(READERS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    return tmp_path


class LetterKit(ExtractorKit):
    file = json.dumps({"letter": "Dear Ada, it rains. " * 20}).encode()
    says = {"text": "Dear Ada"}  # noqa: RUF012 - not changed
    unreadable = (b"{}", b"[" * 100_000)

    def __init__(self, function: str = "read") -> None:
        self.extractor = Extractor("letter", ("application/letter",), f"letter_readers:{function}")  # type: ignore[misc]


@pytest.mark.parametrize("check", checks(ExtractorKit))
async def test_an_extractor_that_keeps_its_promises_passes(check: str, readers: Path) -> None:
    more: dict[str, dict[str, Any]] = {
        "test_a_file_that_was_cut_off_is_told_or_read_in_part": {"cut": 0.5},
        "test_a_file_that_is_damaged_does_no_harm": {"step": 29},
        "test_another_kind_of_file_is_refused_in_words": {"kind": "noise"},
    }
    arguments = [readers] if "tmp_path" in inspect.signature(getattr(ExtractorKit, check)).parameters else []
    done: Awaitable[None] = getattr(LetterKit(), check)(*arguments, **more.get(check, {}))
    await done


@pytest.mark.parametrize(
    ("function", "check", "more"),
    [
        ("believes", "test_another_kind_of_file_is_refused_in_words", {"kind": "noise"}),
        ("dies", "test_what_cannot_be_read_is_refused_in_words", {}),
        ("says_nothing", "test_another_kind_of_file_is_refused_in_words", {"kind": "text"}),
        ("forgets", "test_it_finds_what_is_there", {}),
        ("is_not_there", "test_it_is_declared_as_it_should", None),
    ],
)
async def test_an_extractor_that_breaks_one_fails(
    function: str, check: str, more: dict[str, Any] | None, readers: Path
) -> None:
    await fails(getattr(LetterKit(function), check), *([] if more is None else [readers]), **(more or {}))
