"""The command line, as its users meet it: output, one clear line for a mistake, and the exit code."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import types
from pathlib import Path

import pytest

from trialogue import ConfigurationError
from trialogue_server import _process, cli
from trialogue_server.config import SETTINGS, Config

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without a file, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What was asked to serve, in place of serving."""
    configs: list[Config] = []

    module = types.ModuleType("trialogue_server._process.process")
    module.__dict__["run"] = configs.append
    monkeypatch.setitem(sys.modules, "trialogue_server._process.process", module)
    monkeypatch.setattr(_process, "process", module, raising=False)  # there once the real one was imported
    monkeypatch.setattr("trialogue_server._process.logs.configure", lambda config: None)
    return configs


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(config: Config) -> None:
        raise error

    monkeypatch.setattr(sys.modules["trialogue_server._process.process"], "run", run)


def test_serve_gets_the_settings(served: list[Config]) -> None:
    assert cli.main(["serve", "--host", "::1", "--port", "8080", "--data-dir", "/tmp/x"]) == 0
    assert served == [Config(host="::1", port=8080, data_dir=Path("/tmp/x"))]


def test_serve_reads_variables_and_the_named_file(
    served: list[Config], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my.toml").write_text("port = 1\nrecovery = 'end'")
    monkeypatch.setenv("TRIALOGUE_PORT", "2")
    assert cli.main(["serve", "--config", "my.toml"]) == 0
    assert served == [Config(port=2, recovery="end")]


def test_a_wrong_setting_is_one_line_and_exit_code_2(served: list[Config], capsys: Capture) -> None:
    assert cli.main(["serve", "--port", "eighty"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("trialogue: --port: port cannot be 'eighty'")
    assert output.err.count("\n") == 1
    assert served == []


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_the_operator_must_mend_is_told_out_of_any_nursery(
    depth: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    error: Exception = ConfigurationError("port 4512 is in use: stop the other server or choose another --port")
    for _ in range(depth):
        error = ExceptionGroup("nursery", [error])
    failing(monkeypatch, error)
    assert cli.main(["serve"]) == 2
    assert capsys.readouterr().err == (
        "trialogue: port 4512 is in use: stop the other server or choose another --port\n"
    )


@pytest.mark.usefixtures("served")
def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["serve"])


@pytest.mark.usefixtures("served")
def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert cli.main(["serve"]) == 130


def test_config_shows_each_setting_and_its_source(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("TRIALOGUE_STORAGE_URL", "postgresql://app:hunter2@db/chat")
    assert cli.main(["config", "--port", "1"]) == 0
    shown = capsys.readouterr().out
    for setting in SETTINGS:
        assert setting.doc in shown
        assert setting.variable in shown
    assert "now from: --port\nport = 1\n" in shown
    assert 'now from: TRIALOGUE_STORAGE_URL\nstorage_url = "postgresql://app:***@db/chat"\n' in shown


def test_plugins_lists_what_each_adds_and_what_is_set_aside(capsys: Capture) -> None:
    assert cli.main(["plugins", "--disabled-plugins", "openai"]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    shown = dict(lines)
    assert shown["openai"] == "set aside        disabled by the configuration"
    assert shown["echo"].endswith("providers: echo")
    assert shown.keys() >= {"echo", "local", "openai", "password", "sqlite"}
    assert shown["password"].endswith("authenticators: password")


def test_plugins_for_a_machine(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("TRIALOGUE_OIDC_PROVIDERS", "a b")
    assert cli.main(["plugins", "--json", "--disabled-plugins", "local"]) == 0
    shown = json.loads(capsys.readouterr().out)
    openai = next(one for one in shown["plugins"] if one["name"] == "openai")
    assert openai["adds"] == {"providers": ["openai"]}
    assert openai["any_model"] == ["openai"], "behind a base URL any model may be asked for"
    assert openai["distribution"].startswith("trialogue ")
    assert shown["set_aside"] == {"local": "disabled by the configuration"}
    assert shown["tools_set_aside"] == {}
    assert "TRIALOGUE_OIDC_PROVIDERS" in shown["wrong"][0]


def test_without_a_command_help_is_shown(capsys: Capture) -> None:
    assert cli.main([]) == 0
    assert "trialogue serve" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["version"], ["--version"]])
def test_version_names_the_parts(command: list[str], capsys: Capture) -> None:
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("trialogue ")
    assert "trio " in shown


@pytest.mark.parametrize("wrong", [["dance"], ["serve", "--prot", "1"], ["serve", "--por", "1"]])
def test_what_is_no_command_or_flag_exits_with_2(wrong: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(wrong)
    assert stopped.value.code == 2
    assert "usage: trialogue" in capsys.readouterr().err


def test_every_setting_has_a_flag_in_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    shown = capsys.readouterr().out
    for setting in SETTINGS:
        assert f"\n  {setting.flag} " in shown
        assert setting.variable in shown


def test_help_is_quick() -> None:
    """Half a second at most is what people bear. Counted is the processor's time, whatever else the machine does."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "trialogue_server", "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) <= 0.5


def test_help_imports_neither_the_core_nor_the_server() -> None:
    code = (
        "import sys; from trialogue_server.cli import main\n"
        "try: main(['serve', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'trialogue', 'trio', 'quart', 'hypercorn'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "trialogue_server", "config"]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_nodes_of_a_store_that_one_process_has(capsys: Capture, folder: Path) -> None:
    assert cli.main(["nodes"]) == 0
    assert capsys.readouterr().out == "this storage belongs to one process: there are no nodes\n"
    assert cli.main(["nodes", "--json"]) == 0
    assert '"shared": false' in capsys.readouterr().out
    assert not list(folder.iterdir()), "looking makes nothing"


def test_nodes_of_a_database_that_is_not_there(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialogue_postgres._pool.PATIENCE", 0.2)
    url = "postgresql://tester:hidden@127.0.0.1:1/none?connect_timeout=1"
    assert cli.main(["nodes", "--storage-url", url]) == 2
    told = capsys.readouterr().err
    assert told.startswith("trialogue: ")
    assert "hidden" not in told
