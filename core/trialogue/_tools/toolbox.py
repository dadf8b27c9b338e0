"""The toolbox: which tools there are on this node, by name, and which of them a run may use and has to ask for."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Collection, Sequence

import msgspec
import trio

from trialogue._facts.errors import InvalidError
from trialogue._facts.values import Settings, ToolSpec
from trialogue._search.search import SearchQuery
from trialogue._search.searcher import Found, Searcher
from trialogue._supervision.child import Child, contain
from trialogue._tools.tools import Search, Tool, ToolLike, ToolSource

#: A source that says what it has more slowly than this is left out.
PATIENCE = 2.0
#: The first pause after what a source does in the background has failed, and the longest; each is twice the one before.
PAUSES = (1.0, 60.0)

_NAME = re.compile("[a-zA-Z0-9_-]{1,64}")
_log = logging.getLogger("trialogue.tools")


class Toolbox:
    """Tools that are always there, and sources of those that come and go. ``always_ask`` names those for whose calls a
    person is asked whatever a conversation says.
    """

    def __init__(
        self,
        tools: Sequence[ToolLike] = (),
        searcher: Searcher | None = None,
        always_ask: Collection[str] = (),
    ) -> None:
        self._searcher = searcher
        #: Name -> why a tool is not offered, as of the last look.
        self.set_aside: dict[str, str] = {}
        self._always_ask = frozenset(always_ask)
        self._sources = [one for one in tools if isinstance(one, ToolSource)]
        self._own: dict[str, Tool] = {}
        #: Tools that were looked at and can be described to a model; they stay as they are.
        self._sound: weakref.WeakSet[Tool] = weakref.WeakSet()
        self._add(self._own, self.set_aside, [one for one in tools if isinstance(one, Tool)], "a plugin's")
        self._own_aside = dict(self.set_aside)
        self._known = dict(self._own)

    def __repr__(self) -> str:
        return f"<Toolbox {', '.join(self._known)}>"

    async def look(self) -> Sequence[Tool]:
        """The tools there are now, those of the sources included. Never raises but ``Cancelled``."""
        if self._sources:
            known, aside = dict(self._own), dict(self._own_aside)
            for source in self._sources:
                self._add(known, aside, await _asked(source), _called(source))
            self._known, self.set_aside = known, aside
        return tuple(self._known.values())

    def find(self, name: str) -> Tool | None:
        """A tool that there was at the last look."""
        return self._known.get(name)

    def search_for(self, owner: str) -> Search | None:
        """Looks through what ``owner`` has, and nobody else."""
        searcher = self._searcher
        if searcher is None:
            return None

        async def search(query: SearchQuery, limit: int) -> Found:
            return await searcher.search(owner, query, limit)

        return search

    def check(self, settings: Settings, pointer: str = "/tools") -> None:
        """Raises ``InvalidError`` when the settings name a tool that is not there."""
        for at, use in enumerate(settings.tools or ()):
            if use.name not in self._known:
                names = ", ".join(sorted(self._known)) or "none"
                raise InvalidError(
                    f"there is no tool {use.name!r}: the tools here are {names}", pointer=f"{pointer}/{at}"
                )

    def specs(self, settings: Settings) -> tuple[ToolSpec, ...]:
        """What a model is told of those it may call."""
        return tuple(tool.spec for tool in self._known.values() if allows(settings, tool.name))

    def always_asks(self, name: str) -> bool:
        """Whether a person is asked before this tool is called, whatever a conversation says."""
        return name in self._always_ask

    def asks(self, tool: Tool, settings: Settings) -> bool:
        """Whether a person is asked before this tool is called."""
        if self.always_asks(tool.name):
            return True
        said = next((use.approval for use in settings.tools or () if use.name == tool.name), None)
        return tool.needs_approval if said is None else said == "ask"

    def _add(self, known: dict[str, Tool], aside: dict[str, str], tools: Sequence[Tool], whose: str) -> None:
        for tool in tools:
            problem = self._problem(tool, known)
            name = _called(tool)
            if problem is None:
                known[name] = tool
                continue
            if self.set_aside.get(name) != problem:
                _log.warning("tool %r of %s set aside: %s", name, whose, problem)
            aside[name] = problem

    def _problem(self, tool: object, known: Collection[str]) -> str | None:
        if not isinstance(tool, Tool):
            return f"{tool!r} is no Tool"
        if tool not in self._sound:
            problem = _flaw(tool)
            if problem is not None:
                return problem
            self._sound.add(tool)
        return "another tool has this name" if tool.name in known else None

    @property
    def has_sources(self) -> bool:
        """Whether some of its tools may come and go."""
        return bool(self._sources)

    async def serve(self, child: Child) -> None:
        """The service in which sources do what they do in the background."""
        async with trio.open_nursery() as nursery:
            for source in self._sources:
                nursery.start_soon(_serve, source)
            child.started()
            await trio.sleep_forever()

    async def aclose(self) -> None:
        """Close every source; one that fails or takes too long does not keep the others from it."""
        for source in self._sources:
            with trio.move_on_after(PATIENCE, shield=True):
                try:
                    await source.aclose()
                except Exception:
                    _log.exception("%s failed to close", _called(source))


def allows(settings: Settings, name: str) -> bool:
    """Whether a run with these settings may call a tool of this name."""
    return settings.tools is None or any(use.name == name for use in settings.tools)


async def _serve(source: ToolSource) -> None:
    pause, longest = PAUSES
    while (error := await contain(source.serve)) is not None:
        _log.error("%s failed in the background; again in %g s", _called(source), pause, exc_info=error)
        await trio.sleep(pause)
        pause = min(2 * pause, longest)


async def _asked(source: ToolSource) -> Sequence[Tool]:
    try:
        with trio.fail_after(PATIENCE):
            return tuple(await source.tools())
    except Exception as error:
        # A bad plugin degrades alone.
        _log.warning("%s has no tools now: %s", _called(source), str(error) or type(error).__name__)
        return ()


def _called(one: object) -> str:
    try:
        return str(getattr(one, "name", type(one).__name__))[:64]
    except Exception:  # It is a plugin's property.
        return type(one).__name__


def _flaw(tool: Tool) -> str | None:
    """What keeps a tool from being offered. All tools are told to a model together: one must not keep the others from it."""
    try:
        if not _NAME.fullmatch(str(tool.name)):
            return "letters, digits, underscores and hyphens make a name, 64 at most"
        if not (isinstance(tool.description, str) and isinstance(tool.parameters, dict)):  # pyright: ignore  # a plugin's
            return "its description is no text, or its parameters are no JSON Schema"
        msgspec.json.decode(msgspec.json.encode(tool.spec), type=ToolSpec)
        if not tool.timeout > 0:
            return f"its timeout is {tool.timeout!r} seconds"
    except Exception as error:
        return f"it cannot be described to a model: {type(error).__name__}: {error}"
    return None
