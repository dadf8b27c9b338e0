"""Settings: one table, three sources, and errors that say what to mend."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from trialogue import ConfigurationError
from trialogue_server._settings.settings import Loaded, load_settings
from trialogue_server.config import SETTINGS, Config

Values = Mapping[str, str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a current folder of its own, without a configuration file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | None = None, *, environment: Values | None = None, flags: Values | None = None) -> Loaded:
    if text is not None:
        Path("trialogue.toml").write_text(text, encoding="utf-8")
    return load_settings(flags or {}, environment or {}, plugins=["local", "acme-cloud"])


def refusal(text: str | None = None, *, environment: Values | None = None, flags: Values | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(text, environment=environment, flags=flags)
    return str(caught.value)


# --- the table ---------------------------------------------------------------------------------------------------


def test_nothing_configured_is_the_defaults() -> None:
    config, sources = load()
    assert config == Config()
    assert set(sources.values()) == {"default"}
    assert (config.host, config.port, config.data_dir) == ("127.0.0.1", 4512, Path("data"))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_and_its_default_is_valid(setting: object) -> None:
    (row,) = (one for one in SETTINGS if one == setting)
    assert row.doc.endswith(".")
    config, sources = load(f"{row.name} = {row.show(Config())}")
    assert config == Config()
    assert sources[row.name] == "trialogue.toml"


def test_what_is_shown_is_a_file_that_gives_the_same() -> None:
    given = Config(
        port=1,
        trusted_origins=("https://a.example", "http://b:1"),
        data_dir=Path("/x y"),
        recovery="end",
        fallbacks={"a:b": ("c:d", 'e:"f"'), "g:h": ()},
        provider_concurrency={"a": 3},
    )
    shown = "\n".join(f"{setting.name} = {setting.show(given)}" for setting in SETTINGS)
    assert tomllib.loads(shown)["data_dir"] == "/x y"
    assert load(shown).config == given


def test_passwords_are_not_shown() -> None:
    config = Config(storage_url="postgresql://app:hunter2@db/chat", redis_url="redis://:hunter3@cache")
    assert "hunter" not in repr(config)
    assert "postgresql://app:***@db/chat" in repr(config)


# --- sources -----------------------------------------------------------------------------------------------------


def test_flags_beat_variables_and_variables_the_file() -> None:
    text = "port = 1\nhost = 'a'\nlog_level = 'debug'"
    config, sources = load(text, environment={"TRIALOGUE_PORT": "2", "TRIALOGUE_HOST": "b"}, flags={"port": "3"})
    assert (config.port, config.host, config.log_level) == (3, "b", "debug")
    assert (sources["port"], sources["host"], sources["log_level"]) == ("--port", "TRIALOGUE_HOST", "trialogue.toml")


def test_an_empty_variable_is_not_set() -> None:
    config, sources = load("port = 1", environment={"TRIALOGUE_PORT": ""})
    assert config.port == 1
    assert sources["port"] == "trialogue.toml"


def test_text_becomes_numbers_and_lists() -> None:
    environment = {
        "TRIALOGUE_STREAM_WINDOW_SECONDS": "0.25",
        "TRIALOGUE_TRUSTED_ORIGINS": "https://a.example, http://b:1",
        "TRIALOGUE_DATA_DIR": "~/chat",
    }
    config = load(environment=environment).config
    assert config.stream_window_seconds == 0.25
    assert config.trusted_origins == ("https://a.example", "http://b:1")
    assert config.data_dir == Path.home() / "chat"


def test_text_becomes_tables() -> None:
    environment = {
        "TRIALOGUE_FALLBACKS": "openai:gpt-5 = anthropic:x, local:small ; local:small=openai:a=b",
        "TRIALOGUE_PROVIDER_CONCURRENCY": "openai=50;local=2",
    }
    config = load(environment=environment).config
    assert config.fallbacks == {
        "openai:gpt-5": ("anthropic:x", "local:small"),
        "local:small": ("openai:a=b",),
    }
    assert config.provider_concurrency == {"openai": 50, "local": 2}
    assert load('[provider_concurrency]\nopenai = 50\n[fallbacks]\n"a:b" = ["c:d"]').config.fallbacks == {
        "a:b": ("c:d",)
    }


def test_a_file_is_found_by_flag_before_variable(folder: Path) -> None:
    (folder / "one.toml").write_text("port = 1")
    (folder / "two.toml").write_text("port = 2")
    environment = {"TRIALOGUE_CONFIG": "one.toml"}
    assert load_settings({}, environment).config.port == 1
    assert load_settings({}, environment, file="two.toml").config.port == 2


# --- errors ------------------------------------------------------------------------------------------------------


def test_a_named_file_must_be_there(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'gone\.toml' cannot be read: No such file"):
        load_settings({}, {}, file="gone.toml")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load_settings({}, {}, file=str(folder))


def test_what_is_not_toml_is_told_with_its_line() -> None:
    assert "line 2" in refusal("port = 1\nport: 2")


def test_what_is_not_utf8_is_told(folder: Path) -> None:
    (folder / "trialogue.toml").write_bytes(b"host = '\xff'")
    assert "'trialogue.toml' is not TOML" in refusal()


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    assert refusal("prot = 1") == "trialogue.toml: 'prot' is no setting: did you mean port?"
    assert "trialogue config" in refusal("colour = 1")
    assert "'server'" in refusal("[server]\nport = 1")


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    message = refusal(environment={"TRIALOGUE_STORGE_URL": "x"})
    assert message == "TRIALOGUE_STORGE_URL is no setting: did you mean TRIALOGUE_STORAGE_URL?"


def test_plugins_may_have_variables_of_their_own() -> None:
    load(environment={"TRIALOGUE_LOCAL_MODEL": "x", "TRIALOGUE_ACME_CLOUD_KEY": "y", "OTHER": "z"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", "eighty", "int"),
        ("port", "70000", "65535"),
        ("port", "-1", ">= 0"),
        ("stall_seconds", "inf", "<="),
        ("stall_seconds", "nan", ">"),
        ("registration", "maybe", "one of open, invite, closed"),
        ("public_url", "chat.example.org", "something like https://"),
        ("trusted_origins", "https://a.example,b", "something like https://"),
        ("default_model", "gpt", "something like openai:"),
        ("fallbacks", "gpt", "something like openai:"),
        ("fallbacks", "gpt=a:b", "something like openai:"),
        ("provider_concurrency", "openai", "something like openai="),
        ("provider_concurrency", "openai=0", ">= 1"),
        ("provider_concurrency", "openai=many", "int"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_variable_and_flag(name: str, value: str, expected: str) -> None:
    by_variable = refusal(environment={f"TRIALOGUE_{name.upper()}": value})
    by_flag = refusal(flags={name: value})
    assert by_variable.startswith(f"TRIALOGUE_{name.upper()}: {name} cannot be {value!r}: ")
    assert by_flag.startswith(f"--{name.replace('_', '-')}: {name} cannot be {value!r}: ")
    assert expected in by_variable
    assert expected in by_flag


@pytest.mark.parametrize(
    "line", ["port = '1'", "port = true", "port = 1.0", "host = 1", "trusted_origins = 'http://a'"]
)
def test_a_file_gives_types_and_not_text_for_them(line: str) -> None:
    assert refusal(line).startswith("trialogue.toml: ")


def test_an_empty_folder_name_is_refused() -> None:
    assert "path of a folder" in refusal("data_dir = ''")
    assert "path of a folder" in refusal("data_dir = 3")


def test_a_refused_value_is_masked() -> None:
    assert "hunter2" not in refusal("public_url = 'http://user:hunter2@host/path'")
