"""The metrics: readable by Prometheus' own parser, true, without ids, and for nobody else."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families
from rest import Server, serve
from served import Server as Process
from talking import make, talked

from trialogue import ConfigurationError, Distribution, Usage, UsagePiece
from trialogue.testing import ScriptedProvider
from trialogue_server._seeing import Seeing, listener
from trialogue_server._seeing.exposition import MEDIA_TYPE, Family, counter, encode
from trialogue_server._seeing.lag import RECENT

TOKEN = "0123456789abcdef" * 2


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What Prometheus' client library makes of it, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


# --- the text ----------------------------------------------------------------------------------------------------


def test_text_is_what_was_meant() -> None:
    odd = 'a"b\\c\nd'
    families = [
        Family("x_total", "counter", "Of\nmany \\ lines.", {(odd,): 3.0, ("plain",): 0.5}, ("name",)),
        Family("y_seconds", "histogram", "Y.", {("r",): Distribution((0.1, 1.0), (2, 0, 1), 5.5)}, ("route",)),
        Family("none", "gauge", "Left out.", {}),
        counter("z_total", "Z.", True),
    ]
    text = b"".join(encode(families)).decode()
    found = samples(text)
    assert found["x_total", frozenset({("name", odd)})] == 3.0
    assert found["x_total", frozenset({("name", "plain")})] == 0.5
    buckets = {le: found["y_seconds_bucket", frozenset({("route", "r"), ("le", le)})] for le in ("0.1", "1.0", "+Inf")}
    assert buckets == {"0.1": 2.0, "1.0": 2.0, "+Inf": 3.0}
    assert found["y_seconds_sum", frozenset({("route", "r")})] == 5.5
    assert found["y_seconds_count", frozenset({("route", "r")})] == 3.0
    assert found["z_total", frozenset()] == 1.0
    assert "none" not in text


# --- what they say -----------------------------------------------------------------------------------------------


async def test_run_is_counted_with_its_tokens_and_its_times() -> None:
    provider = ScriptedProvider(["Hello", " world", UsagePiece(Usage("reported", 11, 2))])
    async with serve(provider) as server, server.user() as ada:
        await talked(ada, await make(ada), "hi")
        answer = await ada.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
        text, model = answer.text, "scripted:script"
        assert value(text, "trialogue_runs_total", model=model, outcome="completed", reason="stop") == 1
        assert value(text, "trialogue_tokens_total", model=model, kind="input") == 11
        assert value(text, "trialogue_tokens_total", model=model, kind="output") == 2
        assert value(text, "trialogue_run_first_token_seconds_count", model=model) == 1
        assert value(text, "trialogue_gate_seconds_count") >= 1
        assert value(text, "trialogue_commands_total", kind="PostMessage", outcome="ok") == 1
        posted = {"route": "/api/conversations/<id>/messages", "method": "POST"}
        assert sum(count for (name, of), count in samples(text).items() if posted.items() <= dict(of).items()) >= 1


async def test_labels_hold_no_ids(server: Server, ada: httpx2.AsyncClient) -> None:
    await talked(ada, await make(ada), "hi")
    text = (await ada.get("/metrics")).text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)
    assert "ada" not in text


async def test_unknown_paths_and_methods_make_no_series(server: Server, ada: httpx2.AsyncClient) -> None:
    for number in range(5):
        await ada.get(f"/nowhere/{number}")
        await ada.request(f"METHOD{number}", "/api/models")
    found = samples((await ada.get("/metrics")).text)
    routes = {dict(labels)["route"] for name, labels in found if name == "trialogue_http_requests_total"}
    methods = {dict(labels)["method"] for name, labels in found if name == "trialogue_http_requests_total"}
    assert routes <= {"none", "page", "/metrics", "/api/auth/register", "/api/models"}
    assert methods <= {"GET", "POST", "other"}


# --- who may read them -------------------------------------------------------------------------------------------


async def test_asked_on_the_machine_itself_it_needs_no_token(server: Server) -> None:
    async with server.client() as nobody:
        assert (await nobody.get("/metrics")).status_code == 200
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            proxied = await nobody.get("/metrics", headers={header: "192.0.2.7"})
            assert proxied.status_code == 401, header


async def test_token_is_needed_once_there_is_one() -> None:
    async with serve(metrics_token=TOKEN) as server, server.user("ada") as ada, server.user("eve") as eve:
        async with server.client() as nobody:
            assert (await nobody.get("/metrics")).status_code == 401
            for wrong in ("x", TOKEN[:-1], TOKEN + "0", "ümlaut"):
                headers = {b"Authorization": f"Bearer {wrong}".encode()}
                assert (await nobody.get("/metrics", headers=headers)).status_code == 401, wrong
            right = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.7"}
            assert (await nobody.get("/metrics", headers=right)).status_code == 200
            assert (await nobody.get("/api/models", headers=right)).status_code == 401, "it is good for nothing else"
        assert (await ada.get("/metrics")).status_code == 200, "an administrator"
        assert (await eve.get("/metrics")).status_code == 403


async def test_address_of_its_own_serves_metrics_and_health_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    process = Process(tmp_path, metrics_listen=f"unix:{path}", metrics_token=TOKEN)
    try:
        await trio.to_thread.run_sync(process.start)
        transport = httpx2.AsyncHTTPTransport(uds=str(path))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x", trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).json()["checks"]["loop"]["ok"] is True
            assert (await client.get("/metrics")).status_code == 401
            answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert value(answer.text, "process_open_fds") > 3
            lost = await client.get("/api/models")
            assert (lost.status_code, lost.headers["content-type"]) == (404, "application/problem+json")
        assert TOKEN not in process.log()
    finally:
        process.close()


async def test_address_that_cannot_be_had_is_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1:1"):
        async with listener.open_apart(app, "192.0.2.1:1"):
            raise AssertionError
    with pytest.raises(ConfigurationError, match="name a port up to 65535 in metrics_listen"):
        async with listener.open_apart(app, "127.0.0.1:99999"):
            raise AssertionError


async def test_address_in_use_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process that is replaced has not ended yet."""
    monkeypatch.setattr(listener, "AGAIN", 0.01)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with listener.open_apart(app, f"127.0.0.1:{port}"), httpx2.AsyncClient(trust_env=False) as client:
            other.close()
            with trio.fail_after(5):
                while not await answers(client, f"http://127.0.0.1:{port}/metrics"):  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.01)
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with listener.open_apart(app, f"127.0.0.1:{other.getsockname()[1]}"):
            """One that never comes is no reason to stay."""


async def answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 204
    except httpx2.TransportError:
        return False


# --- the loop ----------------------------------------------------------------------------------------------------


async def test_loop_that_is_always_late_is_not_ready() -> None:
    seeing = Seeing()
    async with serve(seeing=seeing, ready_lag_seconds=0.5) as server, server.client() as client:
        seeing.lag.note(30.0)  # Once is no reason.
        seeing.lag.note(0.001)
        seeing.lag.note(0.001)
        assert (await client.get("/readyz")).status_code == 200
        for _ in range(RECENT):
            seeing.lag.note(0.7)
        late = await client.get("/readyz")
        assert late.status_code == 503
        assert "0.7 s late" in late.json()["checks"]["loop"]["detail"]
        assert value((await client.get("/metrics")).text, "trialogue_loop_lag_worst_seconds") == 0.7


async def test_lateness_of_the_loop_is_noticed(autojump_clock: trio.testing.MockClock) -> None:
    seeing = Seeing()
    async with trio.open_nursery() as nursery:
        await nursery.start(seeing.lag.run)
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(2.25)  # Time passes, and the loop has not turned.
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert seeing.lag.worst == pytest.approx(2.0)
    assert seeing.lag.usual == pytest.approx(2.0)
