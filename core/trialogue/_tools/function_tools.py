"""Tools made of Python functions: the schema comes from the annotations, and arguments are checked against them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, cast, overload

import msgspec
import trio

from trialogue._tools.tools import Tool, ToolContext, ToolError, ToolOutput

#: A function that is called with the model's arguments, and with the context if it has a parameter annotated so.
Function = Callable[..., object]

#: Functions that block, all tools' together: what is abandoned goes on in its thread, and must not fill the process.
_THREADS = 16
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("tool threads")


class FunctionTool(Tool):
    """A tool that is a function. Made by ``tool``."""

    def __init__(self, function: Function, *, name: str, description: str, fields: type[msgspec.Struct]) -> None:
        self.name: str = name
        self.description: str = description
        self.parameters: dict[str, Any] = _schema(fields)  # A JSON Schema: any JSON.
        self._function = function
        self._fields = fields
        self._context = _context_of(function)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        values = self._values(arguments)
        if self._context is not None:
            values[self._context] = context
        return _output(await self._run(values))

    def _values(self, arguments: dict[str, Any]) -> dict[str, Any]:  # Any: each is of its own annotation's type.
        try:
            asked = msgspec.convert(arguments, self._fields)
        except msgspec.ValidationError as error:
            raise ToolError(f"the arguments do not fit: {str(error).replace('`', chr(39))}") from error
        return {name: getattr(asked, name) for name in self._fields.__struct_fields__}

    async def _run(self, values: dict[str, Any]) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await cast("Awaitable[object]", self._function(**values))
        return await trio.to_thread.run_sync(
            lambda: self._function(**values), abandon_on_cancel=True, limiter=_threads()
        )


@overload
def tool(function: Function, /) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: bool = False,
    idempotent: bool = False,
    timeout: float = 30.0,
) -> Callable[[Function], FunctionTool]: ...
def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: bool = False,
    idempotent: bool = False,
    timeout: float = 30.0,
) -> FunctionTool | Callable[[Function], FunctionTool]:
    """Make a tool of a function with annotated parameters; its name and docstring are the tool's unless said otherwise.

    One that is not async is called in a thread, and abandoned there when it takes too long. It returns text, anything that
    msgspec encodes as JSON, or a ``ToolOutput``. A parameter annotated ``ToolContext`` gets that, and is no argument.
    Raises ``TypeError`` for a function whose parameters no schema can describe.
    """

    def make(function: Function) -> FunctionTool:
        named = name or function.__name__
        said = description or inspect.getdoc(function) or named
        made = FunctionTool(function, name=named, description=said, fields=_fields(named, function))
        made.needs_approval, made.idempotent, made.timeout = needs_approval, idempotent, timeout
        return made

    return make if function is None else make(function)


def _fields(name: str, function: Function) -> type[msgspec.Struct]:
    """A struct with the function's parameters as its fields."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[tuple[str, type] | tuple[str, type, Any]] = []  # Any: a default of the field's own type.
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) is ToolContext:
            continue
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"parameter {parameter.name!r} of the tool {name!r} needs an annotation, and one value")
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hints[parameter.name]))
        else:
            fields.append((parameter.name, hints[parameter.name], parameter.default))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _context_of(function: Function) -> str | None:
    hints = typing.get_type_hints(function)
    return next((name for name, kind in hints.items() if kind is ToolContext and name != "return"), None)


def _schema(fields: type[msgspec.Struct]) -> dict[str, Any]:  # A JSON Schema: any JSON.
    """One object without references to elsewhere but to its own ``$defs``, as upstreams want it."""
    (root,), definitions = msgspec.json.schema_components([fields], ref_template="#/$defs/{name}")
    own = definitions.pop(root["$ref"].rpartition("/")[2])
    own.pop("title", None)
    return {**own, "$defs": definitions} if definitions else own


def _output(result: object) -> ToolOutput:
    match result:
        case ToolOutput():
            return result
        case str():
            return ToolOutput(result)
        case None:
            return ToolOutput("done")
        case _:
            return ToolOutput(msgspec.json.encode(result).decode())


def _threads() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter
