"""Plugins that misbehave, as `trialogue plugins` shows them: each by its own name, and all others as ever."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from trialogue import Plugins, Provider, hookimpl, hookspecs, load_plugins, tool
from trialogue_server._commands.plugins import OPENED, PluginsShown, lines, look_at


def plugin(name: str, **hooks: Callable[..., Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    for hook, function in hooks.items():
        function.__name__ = f"trialogue_{hook}"
        setattr(module, function.__name__, hookimpl(function))
    return module


def looked(*plugins: object) -> PluginsShown:
    return look_at(load_plugins(*plugins, installed=False), {})


async def fine(word: str) -> str:
    return word


def fails(*_: object) -> object:
    raise OSError("no disk")


def nothing() -> list[object]:
    return []


GOOD = plugin("good", tools=lambda: [tool(name="fine")(fine)])


@pytest.mark.parametrize("hook", ["providers", "tools", "turns", "authenticators", "extractors", "header_logins"])
def test_a_hook_that_fails_is_shown_with_its_reason(hook: str) -> None:
    found = looked(plugin("bad", **{hook: lambda: fails()}), GOOD)
    assert found.set_aside == {"bad": "OSError: no disk"}
    assert [(one.name, one.adds) for one in found.plugins] == [("good", {"tools": ("fine",)})]


def test_every_hook_that_needs_no_url_is_asked() -> None:
    asked: list[str] = []

    def noting(hook: str) -> Callable[..., Any]:
        def note() -> list[object]:
            asked.append(hook)
            return []

        return note

    hooks = [name.removeprefix("trialogue_") for name in vars(hookspecs) if name.startswith("trialogue_")]
    looked(plugin("all", **{hook: noting(hook) for hook in hooks}))
    assert set(asked) == set(hooks) - OPENED


def test_a_tool_whose_name_is_taken_is_shown_and_its_plugin_used() -> None:
    twin = plugin("twin", tools=lambda: [tool(name="fine")(fine), tool(name="finer")(fine)])
    found = looked(GOOD, twin)
    assert found.tools_set_aside == {"fine": "another tool has this name"}
    assert not found.set_aside
    assert any("this tool: another tool has this name" in line for line in lines(found, as_json=False))


def test_one_that_is_slow_is_shown_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialogue._plugins.shelf.SLOW_HOOK", -1.0)  # Any time at all is too long.
    (line,) = lines(looked(GOOD), as_json=False)
    assert "(slow: trialogue_tools took 0.0 s" in line


def test_a_provider_that_fails_when_asked_what_it_accepts_is_shown_all_the_same() -> None:
    class Odd(Provider):
        name = "odd"

        def accepts(self, model: str) -> bool:
            raise OSError("no disk")

        async def models(self) -> Any:
            return ()

        def open_response(self, request: object) -> Any:
            raise NotImplementedError

    found = looked(plugin("odd", providers=lambda: [Odd()]))
    assert found.plugins[0].adds == {"providers": ("odd",)}
    assert found.plugins[0].any_model == ()


def test_what_adds_nothing_says_so() -> None:
    assert lines(look_at(Plugins(), {}), as_json=False) == []
    (line,) = lines(looked(plugin("idle", tools=nothing)), as_json=False)
    assert line.endswith("adds nothing with these settings")
