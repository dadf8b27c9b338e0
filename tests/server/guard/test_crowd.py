"""One address cannot take all connections, and is told so before anything of it is read."""

from __future__ import annotations

import json
from typing import Any

from trialogue_server._guard import Limits
from trialogue_server._guard.crowd import Crowd
from trialogue_server._process.connections import connection_limits
from trialogue_server.config import Config

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def opened(victim: Any, tools: Any) -> Any:
    """A connection that was answered, and stays open."""
    sock = victim.connect()
    sock.sendall(KEEP)
    assert b"200" in tools.read_until(sock, b'{"ok":true}\n')
    return sock


def test_connection_beyond_the_bound_is_turned_away(start: Any, tools: Any) -> None:
    victim = start("guard", limits={"per_address": 2})
    with opened(victim, tools), opened(victim, tools) as second:
        assert victim.ask(KEEP).startswith(b"HTTP/1.1 429 ")
        assert victim.ask(b"").startswith(b"HTTP/1.1 429 ")
        second.close()
        assert tools.eventually(lambda: victim.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200"))
    assert tools.eventually(victim.alive)


def test_proxy_stands_for_many(start: Any, tools: Any) -> None:
    victim = start("guard", limits={"per_address": 1, "proxies": ["127.0.0.1"]})
    with opened(victim, tools), opened(victim, tools):
        assert victim.alive()


def test_places_are_counted_by_network_and_given_back() -> None:
    crowd = Crowd(Limits(per_address=1, proxies=frozenset({"192.0.2.1"})))
    with (
        crowd.place("2001:db8::1") as first,
        crowd.place("2001:db8::2") as second,
        crowd.place("2001:db8:0:1::") as other,
    ):
        assert (first, second, other) == (True, False, True)
    with crowd.place("::ffff:192.0.2.1") as one, crowd.place("192.0.2.1") as two, crowd.place(None) as local:
        assert (one, two, local) == (True, True, True)
    assert repr(crowd) == "<Crowd addresses=0 connections=0>"


def test_refusal_is_a_problem_that_names_the_setting() -> None:
    limits = connection_limits(Config(connections_per_address=7, trusted_proxies=("192.0.2.1",)))
    assert (limits.per_address, limits.proxies) == (7, frozenset({"192.0.2.1"}))
    head, _, body = limits.crowded.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert "connections_per_address" in problem["detail"]
    assert (problem["status"], problem["code"]) == (429, "throttled")
    assert b"application/problem+json" in head
    assert f"content-length: {len(body)}".encode() in head
