"""``trialogue doctor``: each check finds what it is there for, says how to mend it, changes nothing and tells no secret."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from served import Server

from trialogue import Finding, Provider, ProviderError, hookimpl, load_plugins
from trialogue.testing import ScriptedProvider
from trialogue_server._doctor import configuration, examining, machine, parts, places
from trialogue_server._doctor.patient import Patient
from trialogue_server._process import mounts
from trialogue_server.config import SETTINGS, Config


def patient(
    environment: Mapping[str, str] | None = None, *plugins: object, ask: bool = False, **settings: Any
) -> Patient:
    sources = {one.name: "default" for one in SETTINGS} | dict.fromkeys(settings, "TRIALOGUE_X")
    config = Config(**settings)
    loaded = load_plugins(*plugins, disabled=config.disabled_plugins)
    return Patient(config, sources, environment or {}, loaded, ask)


def states(found: Sequence[Finding]) -> list[str]:
    return [one.state for one in found]


def problem(found: Sequence[Finding]) -> Finding:
    """The one that is not right, which says what to do."""
    (one,) = [one for one in found if one.state != "right"]
    assert one.fix
    return one


# --- the machine -------------------------------------------------------------------------------------------------


async def test_old_python_and_a_strange_processor_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert states(await machine.check_python(patient())) == ["right"]
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "riscv64" in problem(await machine.check_python(patient())).detail
    monkeypatch.setattr(machine, "OLDEST", (4, 0))
    assert problem(await machine.check_python(patient())).state == "wrong"


@pytest.mark.parametrize(("hard", "fix"), [(99_999, "ulimit -n"), (512, "LimitNOFILE")])
async def test_few_descriptors_are_found(monkeypatch: pytest.MonkeyPatch, hard: int, fix: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    assert fix in problem(await machine.check_limits(patient())).fix


async def test_clock_of_long_ago_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await machine.check_time(patient()) == []
    monkeypatch.setattr(time, "time", lambda: 86_400.0)
    assert problem(await machine.check_time(patient())).state == "wrong"


# --- settings ----------------------------------------------------------------------------------------------------


async def test_secret_that_others_can_read_is_found(tmp_path: Path) -> None:
    file = tmp_path / "trialogue.toml"
    file.write_text("x")
    file.chmod(0o644)
    settings: dict[str, Any] = {"metrics_token": "0123456789abcdef", "storage_url": "postgresql://u:hunter2@h/d"}
    healthy = patient(**settings)
    assert states(await configuration.check_settings(healthy)) == ["right"]
    for name, source in (("metrics_token", str(file)), ("storage_url", "--storage-url")):
        sick = healthy._replace(sources={**healthy.sources, name: source})
        found = problem(await configuration.check_settings(sick))
        assert name in found.detail
        assert "hunter2" not in str(found)
    blank = patient({"OPENAI_API_KEY": "sk-123 "})
    assert "OPENAI_API_KEY" in problem(await configuration.check_settings(blank)).detail


@pytest.mark.parametrize(
    ("settings", "fixes"),
    [
        ({}, []),
        ({"host": "localhost"}, []),
        ({"host": "unix:/run/t.sock"}, []),
        ({"host": "0.0.0.0", "registration": "closed"}, ["public_url"]),
        ({"host": "chat.example.org"}, ["public_url", "registration"]),
        ({"public_url": "https://x", "registration": "closed"}, ["trusted_proxies"]),
        ({"public_url": "https://x", "trusted_proxies": ("127.0.0.1",)}, ["registration"]),
        ({"public_url": "https://x", "trusted_proxies": ("127.0.0.1",), "registration": "invite"}, []),
    ],
)
async def test_open_doors_are_found(settings: dict[str, Any], fixes: list[str]) -> None:
    found = [one for one in await configuration.check_exposure(patient(**settings)) if one.state != "right"]
    assert len(found) == len(fixes)
    assert all(fix in one.fix for one, fix in zip(found, fixes, strict=True))


# --- places ------------------------------------------------------------------------------------------------------


async def test_port_that_another_has_is_found() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # It does not listen, so that nobody waits for its answer.
        port = other.getsockname()[1]
        found = problem(await places.check_port(patient(port=port)))
        assert (found.state, "choose another port" in found.fix) == ("wrong", True)
    assert states(await places.check_port(patient(port=port))) == ["right"]


async def test_files_that_cannot_be_kept_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data/files"
    assert states(await places.check_files(patient(data_dir=tmp_path / "data"))) == ["right"]
    assert not folder.exists(), "nothing is made"
    (tmp_path / "file").write_text("")
    nowhere = await places.check_files(patient(data_dir=tmp_path / "data", files_dir=tmp_path / "file/files"))
    assert problem(nowhere).state == "wrong"
    (folder / "incoming").mkdir(parents=True)
    assert states(await places.check_files(patient(data_dir=tmp_path / "data"))) == ["right"]
    assert list((folder / "incoming").iterdir()) == [], "what was written is gone"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    assert "make room" in problem(await places.check_files(patient(data_dir=tmp_path / "data"))).fix
    (folder / "incoming").rmdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert problem(await places.check_files(patient(data_dir=tmp_path / "data"))).state == "wrong"


async def test_share_that_the_server_would_refuse_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table"
    table.write_text(f"40 22 0:50 / {tmp_path} rw,nosuid shared:7 - nfs4 nas:/export rw,soft\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    found = problem(await places.check_files(patient(data_dir=tmp_path / "data")))
    assert (found.state, "mount it with hard" in found.fix) == ("wrong", True)


async def test_share_that_is_away_is_found_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    away = threading.Event()
    monkeypatch.setattr(Path, "exists", lambda _: away.wait(20))
    monkeypatch.setattr(examining, "CHECKS", {"files": places.check_files})
    try:
        assert "took longer" in problem(await examining.examine(patient(data_dir=tmp_path))).detail
    finally:
        away.set()


# --- what plugins bring ------------------------------------------------------------------------------------------


class Aside:
    """A plugin that lacks something."""

    @hookimpl
    def trialogue_providers(self, environment: Mapping[str, str]) -> Sequence[Provider]:
        raise ModuleNotFoundError("No module named 'sdk'", name="sdk")


class Offering:
    """A plugin with one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @hookimpl
    def trialogue_providers(self, environment: Mapping[str, str]) -> Sequence[Provider]:
        return [self._provider]


class Away(ScriptedProvider):
    """A provider that cannot be reached."""

    async def models(self) -> Any:
        raise ProviderError("the key sk-verysecretkey is wrong", kind="unauthorized")


async def test_plugin_that_is_set_aside_is_found() -> None:
    assert states(await parts.check_plugins(patient())) == ["right"]
    assert "pip install sdk" in problem(await parts.check_plugins(patient(None, Aside()))).fix


async def test_storage_that_nobody_opens_is_found(tmp_path: Path) -> None:
    found = await parts.check_storage(patient(storage_url="mongo://u:hunter2@x", data_dir=tmp_path))
    assert problem(found).state == "wrong"
    assert "hunter2" not in str(found)
    assert states(await parts.check_storage(patient(data_dir=tmp_path / "new"))) == ["right"]
    assert not (tmp_path / "new").exists(), "nothing is made"


async def test_redis_that_is_away_is_found() -> None:
    assert await parts.check_redis(patient()) == []
    assert problem(await parts.check_redis(patient(redis_url="redis://127.0.0.1:1/0"))).state == "wrong"
    assert problem(await parts.check_redis(patient(redis_url="nothing:"))).state == "wrong"


async def test_providers_without_key_or_out_of_reach_are_found() -> None:
    assert "OPENAI_API_KEY" in problem(await parts.check_providers(patient())).fix
    scripted = Offering(ScriptedProvider(["x"]))
    assert states(await parts.check_providers(patient(None, scripted))) == ["right"]
    lost = patient(None, scripted, default_model="nobody:m")
    assert "default_model" in problem(await parts.check_providers(lost)).detail
    away = patient(None, Offering(Away(["x"])), ask=True, disabled_plugins=("local",))
    assert "key" in problem(await parts.check_providers(away)).detail
    there = patient(None, scripted, ask=True, disabled_plugins=("local",))
    assert states(await parts.check_providers(there)) == ["right", "right", "right"]


async def test_telemetry_without_its_extra_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    assert await parts.check_telemetry(patient()) == []
    assert states(await parts.check_telemetry(patient(environment))) == ["right"]
    monkeypatch.setattr(parts, "find_spec", lambda _: None)
    assert "otel" in problem(await parts.check_telemetry(patient(environment))).fix


# --- all of it ---------------------------------------------------------------------------------------------------


async def test_check_that_fails_or_hangs_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async def failing(_: Patient) -> Sequence[Finding]:
        raise RuntimeError("oh")

    async def hanging(_: Patient) -> Sequence[Finding]:
        await trio.sleep_forever()

    monkeypatch.setattr(examining, "CHECKS", {"a": failing, "b": hanging, "c": machine.check_python})
    assert states(await examining.examine(patient())) == ["wrong", "wrong", "right"]


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trialogue_server", "doctor", *arguments]
    environment = {**os.environ, **variables, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60, check=False)


def test_it_looks_beside_a_server_that_runs_and_changes_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        server.start()
        before = sorted((tmp_path / "data").rglob("*"))
        done = doctor(tmp_path, "--json", "--data-dir", str(tmp_path / "data"), "--port", str(server.port))
        found = {one["what"]: one for one in json.loads(done.stdout)["findings"]}
        assert done.returncode == 0, done.stdout
        assert "in use by pid" in found["storage"]["detail"]
        assert "a Trialogue server answers" in found["port"]["detail"]
        assert sorted((tmp_path / "data").rglob("*")) == before
    finally:
        server.close()


def test_what_is_wrong_is_shown_with_its_fix_and_an_exit_code(tmp_path: Path) -> None:
    done = doctor(tmp_path, TRIALOGUE_STORAGE_URL="mongo://u:hunter2@x")
    assert done.returncode == 2
    assert "✗ storage" in done.stdout
    assert "->" in done.stdout
    assert "1 wrong" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    wrong = doctor(tmp_path, "--port", "abc")
    assert (wrong.returncode, "✗ settings" in wrong.stdout) == (2, True)
