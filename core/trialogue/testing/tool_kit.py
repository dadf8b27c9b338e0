"""The conformance kit for tools: checks that any tool's author runs against theirs, with pytest and pytest-trio.

Subclass ``ToolKit`` in a test module and say how the tool is opened, and how it is called:

    class TestDice(ToolKit):
        @asynccontextmanager
        async def open_tool(self):
            yield ToolCase(dice, {"sides": 6}, misfits=({"sides": 0},))

Arguments that do not fit the schema's required names and types are made up by the kit; what else does not is in ``misfits``.
A model writes what it likes, so each of them has to be answered with ``ToolError``, in words that help it to try again.
"""

from __future__ import annotations

import gc
import math
import os
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import msgspec
import pytest
import trio
import trio.testing

from trialogue._tools.tools import Tool, ToolContext, ToolError, ToolOutput

#: A value of each of JSON's types, of which at least one is not of the type that a schema asks for.
_VALUES: dict[str, object] = {"string": "x", "number": 1.5, "boolean": True, "array": [], "object": {}}
#: What is larger or stranger than anything a schema allows for.
_LARGE: tuple[object, ...] = ("x" * 1_000_000, [0] * 10_000, 10**30, "\0")
#: What a type takes besides its own.
_TAKES = {"integer": {"integer"}, "number": {"number", "integer"}}


class ToolCase(msgspec.Struct, frozen=True):
    """A tool, and what to call it with. Arguments are JSON objects, as a model writes them."""

    tool: Tool
    #: A call that succeeds.
    arguments: dict[str, Any]
    #: Calls that have to be refused, besides those that the schema says cannot be meant.
    misfits: tuple[dict[str, Any], ...] = ()
    #: A call that takes ten seconds or more; ``None`` where none does.
    slow: dict[str, Any] | None = None


class ToolKit:
    """Subclass it and give ``open_tool``; each method that begins with ``test_`` states one promise of the port."""

    #: Characters that a result has at most. The server cuts what is longer, wherever that happens to be.
    most: ClassVar[int] = 50_000
    #: Calls at the same time.
    concurrent: ClassVar[int] = 10
    #: Calls in the leak check.
    runs: ClassVar[int] = 50
    #: Within this many seconds of a cancellation the tool has ended.
    let_go: ClassVar[float] = 0.25
    #: Seconds after which a check that hangs fails.
    patience: ClassVar[float] = 30

    def open_tool(self) -> AbstractAsyncContextManager[ToolCase]:
        """The tool, and how it is called; leaving the block closes what it holds."""
        raise NotImplementedError(f"{type(self).__name__} must say how its tool is opened")

    def context(self, call: str) -> ToolContext:
        """What a call is given; override it for a tool that searches or reads what the user has."""
        return ToolContext("owner", "conversation", "run", call, trio.current_time() + self.patience)

    async def test_it_is_described(self) -> None:
        async with self.open_tool() as case:
            tool = case.tool
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name)
            assert tool.description.strip(), "a model has nothing else to choose it by"
            assert 0 < tool.timeout < math.inf
            assert tool.name in repr(tool)

    async def test_its_schema_is_one_of_an_object(self) -> None:
        async with self.open_tool() as case:
            schema = case.tool.parameters
            assert schema.get("type") == "object"
            assert set(schema.get("required", ())) <= set(schema.get("properties", {}))
            assert msgspec.json.decode(msgspec.json.encode(schema)) == schema, "a schema is JSON"
            assert all(one.startswith("#/$defs/") for one in _references(schema)), "what it refers to is in itself"
            assert case.tool.spec == case.tool.spec, "it stays as it is"

    async def test_a_call_says_something_that_can_be_written_down(self) -> None:
        async with self.open_tool() as case:
            output = await self._call(case)
            assert not output.failed, output.text
            assert len(output.text) <= self.most, (
                f"cut it yourself, where it hurts least: {len(output.text)} characters"
            )
            output.text.encode()  # No half of a surrogate pair.
            assert msgspec.json.decode(msgspec.json.encode(output), type=ToolOutput) == output

    async def test_arguments_that_do_not_fit_are_refused_clearly(self) -> None:
        async with self.open_tool() as case:
            for arguments in (*case.misfits, *_misfits(case)):
                with pytest.raises(ToolError) as caught:
                    await self._call(case, arguments)
                assert 0 < len(str(caught.value)) <= 2_000, f"refused {arguments!r} without words, or with too many"

    async def test_arguments_of_any_size_do_no_harm(self) -> None:
        async with self.open_tool() as case:
            for name in (*case.tool.parameters.get("properties", {}), "none of them"):
                for value in _LARGE:
                    await self._tried(case, {**case.arguments, name: value})

    async def test_calls_do_not_disturb_each_other(self) -> None:
        outputs: list[ToolOutput] = []

        async def call(case: ToolCase, number: int) -> None:
            outputs.append(await self._call(case, call=f"m-{number}"))

        async with self.open_tool() as case, trio.open_nursery() as nursery:
            for number in range(self.concurrent):
                nursery.start_soon(call, case, number)
        assert len(outputs) == self.concurrent
        assert not any(output.failed for output in outputs)

    async def test_one_that_is_idempotent_may_be_called_again(self) -> None:
        async with self.open_tool() as case:
            if case.tool.idempotent:  # As after a crash: with the same id.
                assert not (await self._call(case)).failed
                assert not (await self._call(case)).failed

    async def test_cancelled_at_once_it_ends(self) -> None:
        async with self.open_tool() as case:
            started = trio.current_time()
            with trio.move_on_after(0):
                await self._call(case)
            assert trio.current_time() - started <= self.let_go

    async def test_cancelled_at_work_it_ends(self) -> None:
        async with self.open_tool() as case:
            if case.slow is None:
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._call, case, case.slow)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert nursery.child_tasks, "it was to take long"
                started = trio.current_time()
                nursery.cancel_scope.cancel()
            assert trio.current_time() - started <= self.let_go
            assert not (await self._call(case)).failed, "it can be called afterwards"

    async def test_nothing_leaks(self) -> None:
        async with self.open_tool() as case:
            for _ in range(3):
                await self._call(case)
            before = _resources()
            for _ in range(self.runs):
                await self._call(case)
                with trio.move_on_after(0):
                    await self._call(case)
            after = _resources()
        assert all(now <= then + 2 for then, now in zip(before, after, strict=True)), f"{before} -> {after}"

    async def _call(self, case: ToolCase, arguments: dict[str, Any] | None = None, call: str = "m-0") -> ToolOutput:
        context = self.context(call)
        with trio.fail_after(self.patience):
            output = await case.tool.call(dict(case.arguments if arguments is None else arguments), context)
        assert isinstance(output, ToolOutput), f"{output!r} is no ToolOutput"
        return output

    async def _tried(self, case: ToolCase, arguments: dict[str, Any]) -> None:
        try:
            output = await self._call(case, arguments)
        except ToolError:
            return
        assert len(output.text) <= self.most, f"cut it yourself: {len(output.text)} characters"


def _misfits(case: ToolCase) -> Iterator[dict[str, Any]]:
    """Arguments that are certainly not what the schema describes."""
    schema = case.tool.parameters
    for name in schema.get("required", ()):
        yield {given: value for given, value in case.arguments.items() if given != name}
    for name, described in schema.get("properties", {}).items():
        wanted = described.get("type")
        if isinstance(wanted, str) and "enum" not in described:
            takes = _TAKES.get(wanted, {wanted})
            yield from ({**case.arguments, name: value} for kind, value in _VALUES.items() if kind not in takes)


def _references(schema: object) -> Iterator[str]:
    match schema:
        case dict():
            for key, value in schema.items():  # pyright: ignore[reportUnknownVariableType]  # any JSON
                if key == "$ref":
                    yield str(value)  # pyright: ignore[reportUnknownArgumentType]
                else:
                    yield from _references(value)  # pyright: ignore[reportUnknownArgumentType]
        case list():
            for value in schema:  # pyright: ignore[reportUnknownVariableType]
                yield from _references(value)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass


def _resources() -> tuple[int, int]:
    """Open file descriptors and living tasks of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), trio.lowlevel.current_statistics().tasks_living
