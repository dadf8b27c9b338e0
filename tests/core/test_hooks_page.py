"""docs/hooks.md has every hook with its signature as it is, and an example that does what it says."""

from __future__ import annotations

import inspect
import io
import re
import struct
import types
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trialogue import (
    Admission,
    ConfigurationError,
    Credentials,
    FinishPiece,
    ForbiddenError,
    FunctionTool,
    Message,
    Plugins,
    Request,
    SecretAuthenticator,
    TextPart,
    TextPiece,
    ToolContext,
    TurnContext,
    UnauthenticatedError,
    hookspecs,
    load_plugins,
)
from trialogue.testing import MemoryStore

PAGE = Path(__file__).parents[2] / "docs/hooks.md"
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("trialogue_")}
SECTIONS = {text.partition("(")[0]: text for text in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]}
#: What each example is held to, by its hook.
CHECKS: dict[str, Callable[[Plugins, Any], Awaitable[None]]] = {}

Check = Callable[[Plugins, Any], Awaitable[None]]  # Any: the example, as a module.


def check(function: Check) -> Check:
    CHECKS[f"trialogue_{function.__name__}"] = function
    return function


def signature_of(name: str) -> str:
    return f"{name}{inspect.signature(HOOKS[name])}".replace("'", "")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_stands_there_with_its_signature(name: str) -> None:
    assert name in SECTIONS, f"describe {signature_of(name)} in docs/hooks.md, with an example"
    assert SECTIONS[name].splitlines()[0] == signature_of(name)


def test_nothing_stands_there_that_is_no_hook() -> None:
    assert set(SECTIONS) <= set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
async def test_every_example_runs(name: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", SECTIONS[name], re.DOTALL)
    assert name in CHECKS, f"say in this file what the example of {name} is held to"
    module = types.ModuleType("example")
    exec(code, module.__dict__)
    plugins = load_plugins(module, installed=False)
    assert plugins.loaded["example"].hooks == (name,)
    await CHECKS[name](plugins, module)
    assert not plugins.set_aside


@check
async def providers(plugins: Plugins, _: Any) -> None:
    (parrot,) = plugins.providers({})
    assert [model.id for model in await parrot.models()] == ["parrot:grey"]
    message = Message("m", "c", "user", (TextPart("hello"),), datetime.now(UTC))
    async with parrot.open_response(Request("grey", (message,))) as stream:
        assert tuple(await stream.receive()) == (TextPiece("hello, hello!"), FinishPiece("stop"))
        assert not await stream.receive()


@check
async def tools(plugins: Plugins, _: Any) -> None:
    (tool,) = plugins.tools({})
    assert isinstance(tool, FunctionTool)
    assert (await tool.call({"word": "strawberry"}, ToolContext("o", "c", "r", "m-0", 0.0))).text == "10"


@check
async def turns(plugins: Plugins, _: Any) -> None:
    (hook,) = plugins.turns({})
    turn = TurnContext("o", "c", "r", "m", "parrot:grey")
    message = Message("m", "c", "user", (TextPart("hello"),), datetime.now(UTC))
    assert (await hook.before(turn, Request("grey", (message,)))).system == "Be polite."
    with pytest.raises(ForbiddenError):
        await hook.before(turn, Request("grey", (replace(message, parts=(TextPart("my password"),)),)))


@check
async def authenticators(plugins: Plugins, _: Any) -> None:
    (one,) = plugins.authenticators(MemoryStore())
    assert isinstance(one, SecretAuthenticator)
    user = await one.register(Credentials("ada@example.org", "any"), "Ada", Admission())
    assert await one.login(Credentials("ada@example.org", f"{datetime.now(UTC):%A}")) == user
    with pytest.raises(UnauthenticatedError):
        await one.login(Credentials("ada@example.org", "Doomsday"))


@check
async def redirect_logins(plugins: Plugins, _: Any) -> None:
    assert plugins.redirect_logins({}) == []
    (login,) = plugins.redirect_logins({"GATEHOUSE_URL": "https://gate.example"})
    departure = await login.depart("https://chat.example/back")
    assert departure.url == "https://gate.example?then=https://chat.example/back"
    person = await login.arrive("https://chat.example/back", departure.kept, {"badge": "7"})
    assert person.identity.subject == "7"
    with pytest.raises(UnauthenticatedError):
        await login.arrive("https://chat.example/back", departure.kept, {})


@check
async def header_logins(plugins: Plugins, _: Any) -> None:
    (login,) = plugins.header_logins({})
    person = login.identify({"x-badge": "7"})
    assert person is not None
    assert person.identity.subject == "7"
    assert login.identify({}) is None


@check
async def extractors(plugins: Plugins, example: Any) -> None:
    (extractor,) = plugins.extractors()
    assert extractor.function == "example:read"
    assert example.read(io.BytesIO(b"% hidden\nshown"), 3) == {"text": "sho"}


@check
async def embedders(plugins: Plugins, _: Any) -> None:
    (embedder,) = plugins.embedders({})
    one, none = await embedder.embed(["a A", "xyz"])
    assert struct.unpack("<5f", one) == (1, 0, 0, 0, 0)
    assert none == bytes(20)


@check
async def store(plugins: Plugins, _: Any) -> None:
    async with plugins.open_store("forgetful:", Path()) as opened:
        assert not await opened.accounts.has_users()
    with pytest.raises(ConfigurationError):
        plugins.open_store("other:", Path())


@check
async def store_checkup(plugins: Plugins, _: Any) -> None:
    look = plugins.store_checkup("forgetful:", Path())
    assert look is not None
    assert [finding.state for finding in await look()] == ["doubtful"]
    assert plugins.store_checkup("other:", Path()) is None


@check
async def store_transfer(plugins: Plugins, _: Any) -> None:
    transfer = plugins.store_transfer("forgetful:", Path())
    async with transfer.dump() as rows:
        assert [chunk async for chunk in rows] == []
    with pytest.raises(ConfigurationError, match="takes nothing in"):
        transfer.load(None)


@check
async def soft_state(plugins: Plugins, _: Any) -> None:
    async with plugins.open_soft_state("alone:") as soft:
        assert not soft.statistics().connected
