"""The routing table: which route answers a method on a path, and which methods a path takes.

A tree of the paths' pieces. Where a piece is spelled out and could be an argument as well, the spelled-out one goes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from trialogue_server._surface.routes import Route

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


class Found(NamedTuple):
    """A route, and what stands in the path at its arguments."""

    route: Route
    arguments: Mapping[str, str]


class Table:
    """All routes of a server."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._root.at(route.path).routes[route.method] = route

    def find(self, method: str, path: str) -> Found | None:
        """The route for this method on this path; HEAD is asked of GET's."""
        for node, values in self._root.match(path):
            route = node.routes.get("GET" if method == "HEAD" else method)
            if route is not None:
                return Found(route, dict(zip(_ARGUMENT.findall(route.path), values, strict=True)))
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """What the path takes, sorted, HEAD and OPTIONS included; nothing when it is not in the table."""
        methods = {method for node, _ in self._root.match(path) for method in node.routes}
        if "GET" in methods:
            methods.add("HEAD")
        return (*sorted(methods | {"OPTIONS"}),) if methods else ()


class _Node:
    """One piece of a path, and what may come behind it."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self._named: dict[str, _Node] = {}
        self._any: _Node | None = None

    def at(self, path: str) -> _Node:
        """The node of a route's path, made when it is not there."""
        node = self
        for piece in path[1:].split("/"):
            if not _ARGUMENT.fullmatch(piece):
                node = node._named.setdefault(piece, _Node())
            else:
                if node._any is None:
                    node._any = _Node()
                node = node._any
        return node

    def match(self, path: str) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        """Every node with routes that a request's path may mean, the best one first, with its arguments' values."""
        return self._walk(path[1:].split("/"), 0, ())

    def _walk(self, pieces: list[str], at: int, values: tuple[str, ...]) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        if at == len(pieces):
            if self.routes:
                yield self, values
            return
        piece = pieces[at]
        if named := self._named.get(piece):
            yield from named._walk(pieces, at + 1, values)
        if self._any is not None and piece:
            yield from self._any._walk(pieces, at + 1, (*values, piece))
