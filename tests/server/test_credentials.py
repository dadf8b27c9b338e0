"""Secrets that the service manager hands over as files stand for variables, and what is none is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialogue import ConfigurationError
from trialogue_server import cli
from trialogue_server._settings.credentials import MOST, read_credentials


def read(folder: Path, **already: str) -> dict[str, str]:
    environment = {"CREDENTIALS_DIRECTORY": str(folder), **already}
    read_credentials(environment)
    return environment


def test_file_stands_for_a_variable(tmp_path: Path) -> None:
    (tmp_path / "env_OPENAI_API_KEY").write_text("sk-secret\n")
    (tmp_path / "env_notes.txt").write_text("no variable has such a name")
    (tmp_path / "other").write_text("of somebody else's")
    found = read(tmp_path)
    assert found["OPENAI_API_KEY"] == "sk-secret"
    assert set(found) == {"CREDENTIALS_DIRECTORY", "OPENAI_API_KEY"}


def test_variable_that_is_set_wins(tmp_path: Path) -> None:
    (tmp_path / "env_OPENAI_API_KEY").write_text("from the file")
    assert read(tmp_path, OPENAI_API_KEY="nearer")["OPENAI_API_KEY"] == "nearer"
    assert read(tmp_path, OPENAI_API_KEY="")["OPENAI_API_KEY"] == "from the file"


def test_nothing_is_handed_over() -> None:
    environment: dict[str, str] = {}
    read_credentials(environment)
    assert environment == {}


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"nul\0", b"x" * (MOST + 1)])
def test_what_is_no_secret_is_said_without_being_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "env_OPENAI_API_KEY").write_bytes(content)
    with pytest.raises(ConfigurationError, match="env_OPENAI_API_KEY") as caught:
        read(tmp_path)
    assert "two" not in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "missing")


def test_commands_other_than_serve_read_them_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or `trialogue doctor`, run as the service, would look at another database."""
    (tmp_path / "env_TRIALOGUE_NODE_NAME").write_text("handed-over")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("TRIALOGUE_NODE_NAME", "")
    assert cli.main(["config"]) == 0
    assert 'node_name = "handed-over"' in capsys.readouterr().out
