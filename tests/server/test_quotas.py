"""Quotas: who may ask how often, exactly, and what callers are told of it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from rest import serve

from trialogue import Quota
from trialogue_server._callers.limiter import LocalLimiter
from trialogue_server._callers.peer import Peers, network
from trialogue_server._callers.quotas import Quotas
from trialogue_server._http.call import Call
from trialogue_server.config import Config

USER, KEY = Quota("user", 3, 6.0), Quota("key", 2, 60.0)


async def test_burst_then_one_by_one(autojump_clock: trio.testing.MockClock) -> None:
    limiter = LocalLimiter()
    for left in (2, 1, 0):
        [taken] = await limiter.take([(USER, "ada")])
        assert (taken.left, taken.wait) == (left, 0)
    [refused] = await limiter.take([(USER, "ada")])
    assert refused.left == 0
    assert [refused.wait, refused.full_in] == pytest.approx([2, 6])
    await trio.sleep(2.001)
    assert (await limiter.take([(USER, "ada")]))[0].wait == 0
    assert (await limiter.take([(USER, "ada")]))[0].wait == pytest.approx(2, abs=0.01)
    assert (await limiter.take([(USER, "eve")]))[0].left == 2


async def test_all_or_none_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    limiter = LocalLimiter()
    both = [(USER, "ada"), (KEY, "k")]
    await limiter.take(both)
    await limiter.take(both)
    user, key = await limiter.take(both)
    assert (user.left, user.wait) == (1, 0)
    assert key.wait == pytest.approx(30)
    assert (await limiter.take([(USER, "ada")]))[0].left == 0


async def test_table_is_bounded_and_forgets_the_longest_unused(autojump_clock: trio.testing.MockClock) -> None:
    limiter = LocalLimiter(keys=10)
    for number in range(100):
        await limiter.take([(USER, str(number))])
    assert limiter.statistics() == {"keys": 10}
    assert (await limiter.take([(USER, "99")]))[0].left == 1


@given(st.integers(1, 50), st.floats(0.001, 1e6), st.lists(st.floats(0, 10), max_size=60))
def test_no_more_come_through_than_the_quota_says(requests: int, seconds: float, pauses: list[float]) -> None:
    """Over any times whatever: at most the bucket, and what flowed into it since."""
    quota = Quota("user", requests, seconds)

    async def main() -> None:
        limiter, began, through = LocalLimiter(), trio.current_time(), 0
        for pause in pauses:
            await trio.sleep(pause)
            [taken] = await limiter.take([(quota, "ada")])
            through += taken.wait == 0
            passed = trio.current_time() - began
            assert through <= requests + passed * requests / seconds * (1 + 1e-6) + 1e-6
            assert 0 <= taken.left < requests
            assert 0 <= taken.wait <= seconds / requests * (1 + 1e-6) + 1e-6

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
        ("nonsense:1", "nonsense:1"),
    ],
)
def test_address_counts_as_its_network(address: str, counted: str) -> None:
    assert network(address) == counted


# --- over HTTP ---------------------------------------------------------------------------------------------------


async def test_account_is_told_what_is_left_and_then_to_wait() -> None:
    async with serve(rate_per_user=60, burst_per_user=3) as server, server.user("ada") as ada:
        for left in (2, 1, 0):
            answer = await ada.get("/api/auth/me")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"user";q=3;w=3'
            assert answer.headers["ratelimit"].startswith(f'"user";r={left};t=')
        refused = await ada.get("/api/conversations")
        assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
        assert "rate_per_user" in refused.json()["detail"]
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit"].startswith('"user";r=0;t=')
        async with server.user("eve") as eve:
            assert (await eve.get("/api/auth/me")).status_code == 200
        assert (await ada.get("/healthz")).status_code == 200
        page = await ada.get("/")
        assert page.status_code == 200
        assert "ratelimit" not in page.headers


async def test_who_is_not_known_counts_for_the_address() -> None:
    async with serve(rate_per_address=60, burst_per_address=2) as server, server.client() as nobody:
        assert (await nobody.get("/api/models")).status_code == 401
        tried = await nobody.post("/api/auth/login", json={"email": "a@example.org", "password": "x" * 20})
        assert tried.headers["ratelimit-policy"] == '"address";q=2;w=2'
        assert (await nobody.get("/api/models")).status_code == 429
        assert (await nobody.get("/readyz")).status_code == 200


async def test_forwarded_address_counts_only_from_a_trusted_proxy() -> None:
    limits: dict[str, Any] = {"rate_per_address": 1, "burst_per_address": 1}
    for proxies, expected in ((("127.0.0.1",), 401), ((), 429)):
        async with serve(**limits, trusted_proxies=proxies) as server, server.client() as nobody:
            await nobody.get("/api/models", headers={"X-Forwarded-For": "192.0.2.1"})
            other = await nobody.get("/api/models", headers={"X-Forwarded-For": "192.0.2.2"})
            assert other.status_code == expected


async def test_a_stream_counts_once() -> None:
    from rest import read_events

    async with serve(rate_per_user=1, burst_per_user=3) as server, server.user("ada") as ada:
        url = (await ada.post("/api/conversations", json={})).headers["location"]
        await ada.post(f"{url}/messages", json={"text": "Hi"})
        events = await read_events(ada, f"{url}/events", "run.completed", count=0)
        assert events
        assert (await ada.get(url)).status_code == 429


async def test_no_rate_is_no_limit() -> None:
    async with serve(rate_per_user=0, burst_per_user=1) as server, server.user("ada") as ada:
        for _ in range(3):
            answer = await ada.get("/api/auth/me")
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


async def test_a_request_counts_once_however_often_it_is_asked_whose_it_is() -> None:
    peers = Peers(public_url="", trusted_origins=(), trusted_proxies=())
    quotas = Quotas(Config(burst_per_address=2), LocalLimiter(), peers)
    call = Call({"method": "GET", "path": "/", "headers": [], "query_string": b"", "client": ("192.0.2.1", 1)})
    for _ in range(3):
        await quotas.count(call, None)
    assert call.taken is not None
    assert [taken.left for taken in call.taken] == [1]
