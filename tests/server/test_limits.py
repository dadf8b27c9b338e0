"""Every limit has a name, a line on its page, a test, and whoever keeps it is told."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rest import serve

from trialogue import BreakerLimits, ConfigurationError, LaneLimits
from trialogue_server._serving.patience import check_providers
from trialogue_server._settings.setting import Setting
from trialogue_server.config import SETTINGS, Config
from trialogue_server.serve import file_limits, import_limits, limits

ROOT = Path(__file__).parents[2]
LIMITS = [one for one in SETTINGS if type(one.default) in (int, float) and one.name != "port"]
#: What is tried where it is kept, under its name there.
ELSEWHERE = {
    "embedding_share": "tests/core/test_pacer.py",
    "send_deadline_seconds": "tests/server/test_hub.py",
}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_limit_is_on_the_page_with_its_default(limit: Setting) -> None:
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \| [^|]+ \|$", (ROOT / "docs/limits.md").read_text(), re.MULTILINE)
    told = {
        name: default
        for names, defaults in rows
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=True)
    }
    assert told[limit.name] == limit.show(Config())


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_limit_has_a_test(limit: Setting) -> None:
    if limit.name in ELSEWHERE:
        assert (ROOT / ELSEWHERE[limit.name]).exists()
        return
    named = re.compile(rf"\b{limit.name}\b|\b{limit.variable}\b")
    assert any(named.search(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py"))


def test_limits_reach_the_core() -> None:
    config = Config(
        stream_buffer_tokens=2,
        stream_window_seconds=3,
        stall_seconds=4,
        run_max_seconds=5,
        run_max_characters=6,
        passivation_seconds=7,
        delta_retention_hours=8,
        file_patience_seconds=9,
        trash_days=10,
        audit_days=11,
        invitation_days=11.5,
        history_messages=12,
        history_bytes=1025,
        inbox_messages=30,
        inbox_bytes=1026,
        awake_per_user=13,
        run_failovers=4,
        fallbacks={"a:b": ("c:d",)},
        first_token_seconds=14,
        provider_retries=3,
        provider_retry_after_seconds=15,
        provider_waiting=16,
        provider_wait_seconds=17,
        provider_concurrency={"a": 1},
        provider_requests_per_minute={"b": 2},
        provider_tokens_per_minute={"a": 3},
        breaker_failures=18,
        breaker_share=0.25,
        breaker_window_seconds=19,
        breaker_rest_seconds=20,
        breaker_rest_max_seconds=21,
    )
    told = limits(config)
    assert (told.failovers, told.fallbacks) == (4, {"a:b": ("c:d",)})
    asking = told.asking
    assert (asking.first_token, asking.backoff.retries, asking.backoff.asked) == (14, 3, 15)
    assert (asking.most_waiting, asking.wait) == (16, 17)
    assert asking.lanes == {"a": LaneLimits(1, 0, 3), "b": LaneLimits(0, 2, 0)}
    assert asking.breaker == BreakerLimits(window=19, failures=18, share=0.25, rest=20, longest=21)
    assert (told.buffer_tokens, told.window, told.stall) == (2, 3, 4)
    assert (told.run_seconds, told.run_characters, told.idle) == (5, 6, 7)
    assert (told.retention, told.file_patience, told.history) == (8 * 3600, 9, 12)
    assert (told.trash, told.audit, told.invitations) == (10 * 86_400, 11 * 86_400, 11.5 * 86_400)
    assert (told.history_bytes, told.awake, told.inbox, told.inbox_bytes) == (1025, 13, 30, 1026)


@pytest.mark.parametrize(
    "setting",
    [
        {"fallbacks": {"here:a": ("gone:b",)}},
        {"fallbacks": {"gone:a": ("here:b",)}},
        {"provider_concurrency": {"gone": 1}},
        {"provider_requests_per_minute": {"gone": 1}},
        {"provider_tokens_per_minute": {"gone": 1}},
    ],
)
def test_provider_that_is_not_there_is_not_bounded_in_silence(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(setting))} names the provider 'gone'.*here are here"):
        check_providers(Config(**setting), ["here"])
    check_providers(Config(fallbacks={"here:a": ("here:b",)}, provider_concurrency={"here": 1}), ["here"])


def test_limits_reach_files_and_imports() -> None:
    memory = 64 * 1024**2
    files = file_limits(
        Config(
            file_max_bytes=1,
            files_per_upload=2,
            files_quota_bytes=3,
            file_threads=4,
            file_read_seconds=5,
            file_read_memory_bytes=memory,
            file_text_characters=6,
        )
    )
    assert (files.bytes, files.per_upload, files.quota, files.threads) == (1, 2, 3, 4)
    assert (files.reading.seconds, files.reading.memory, files.reading.characters) == (5, memory, 6)
    imports = import_limits(
        Config(
            import_max_bytes=1024,
            import_max_unpacked_bytes=1025,
            import_conversation_bytes=1026,
            imports_per_user=4,
            import_max_failures=5,
        )
    )
    assert (imports.bytes, imports.unpacked, imports.conversation) == (1024, 1025, 1026)
    assert (imports.per_user, imports.failures) == (4, 5)


async def test_login_holds_for_session_days() -> None:
    async with serve(session_days=2) as server, server.user("ada") as ada:
        [session] = (await ada.get("/api/auth/sessions")).json()["sessions"]
    began, ends = (datetime.fromisoformat(session[name]) for name in ("created_at", "expires_at"))
    assert ends - began == timedelta(days=2)


async def test_key_has_a_burst_of_its_own() -> None:
    async with serve(burst_per_key=2, rate_per_key=1) as server, server.user("ada") as ada:
        token = (await ada.post("/api/auth/keys", json={"name": "k"})).json()["token"]
        async with server.client(headers={"Authorization": f"Bearer {token}"}) as program:
            statuses = [(await program.get("/api/auth/me")).status_code for _ in range(3)]
            assert "rate_per_key" in (await program.get("/api/auth/me")).text
        assert statuses == [200, 200, 429]
        assert (await ada.get("/api/auth/me")).status_code == 200
