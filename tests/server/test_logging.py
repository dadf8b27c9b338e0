"""Log lines: readable for a person, parseable for a machine, without secrets, and one line is one line."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trialogue_server._process import logs
from trialogue_server._settings.masking import mask
from trialogue_server.config import Config

log = logging.getLogger("trialogue.test")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was, afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(False)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def configured(config: Config, stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream if stream is not None else io.StringIO()
    logs.configure(config, stream)
    return stream


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_hold_the_fields() -> None:
    stream = configured(Config())
    log.info("run %s ended", 7, extra={"run": "r1", "tokens": 12, "odd": set})
    (entry,) = objects(stream)
    assert entry["message"] == "run 7 ended"
    assert (entry["level"], entry["logger"], entry["run"], entry["tokens"]) == ("info", "trialogue.test", "r1", 12)
    assert entry["odd"] == "<class 'set'>"
    assert entry["time"].endswith("Z")


def test_a_terminal_gets_text() -> None:
    stream = configured(Config(), Terminal())
    log.warning("slow", extra={"run": "r1", "why": "two words"})
    assert stream.getvalue().endswith("warning trialogue.test: slow run=r1 why='two words'\n")


@pytest.mark.parametrize(("form", "is_json"), [("text", False), ("json", True)])
def test_the_form_can_be_chosen(form: Any, is_json: bool) -> None:
    stream = configured(Config(log_format=form), Terminal())
    log.info("x")
    assert stream.getvalue().startswith("{") is is_json


def test_the_journal_is_told_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.configure(Config(log_level="debug"), stream)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            log.log(level, "x\ny")
        lines = (tmp_path / "journal").read_text().splitlines()
        assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>"]
        assert all(json.loads(line[3:])["message"] == "x\ny" for line in lines)
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        logs.configure(Config(), stream)
        log.info("z")
        assert (tmp_path / "journal").read_text().splitlines()[-1].startswith("{"), "somebody else's journal"


def test_the_level_is_the_configured_one() -> None:
    stream = configured(Config(log_level="warning"))
    log.info("unheard")
    log.warning("heard")
    assert [entry["message"] for entry in objects(stream)] == ["heard"]


def test_a_second_call_replaces_the_first() -> None:
    first, second = configured(Config()), configured(Config())
    log.info("once")
    assert first.getvalue() == ""
    assert len(objects(second)) == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_message_cannot_forge_a_line(form: Any) -> None:
    stream = configured(Config(log_format=form))
    log.info("title %s", "x\n00:00:00.000 error   trialogue: on fire\x1b[2J", extra={"field": "a\nb"})
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_masked_wherever_they_stand(form: Any) -> None:
    stream = configured(Config(log_format=form))
    try:
        raise ValueError("no answer from postgresql://app:hunter2hunter2@db/chat")
    except ValueError:
        log.exception(
            "with sk-hunter2hunter2", extra={"api_key": "hunter2hunter2", "note": "Bearer hunter2hunter2", "code": 5}
        )
    shown = stream.getvalue()
    assert "hunter2" not in shown
    assert "postgresql://app:***@db/chat" in shown
    assert "ValueError" in shown


def test_warnings_are_logged() -> None:
    stream = configured(Config())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old thing", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    (entry,) = objects(stream)
    assert entry["logger"] == "py.warnings"
    assert "old thing" in entry["message"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:pw@host", "redis://:***@host"),
        ("https://host/path?token=abc&x=1", "https://host/path?token=***&x=1"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***"),
        ("key tl_0123456789abcdef here", "key tl_*** here"),
        ("a task-manager-tool and risk-averse people", "a task-manager-tool and risk-averse people"),
        ("https://user@host/x and http://[::1]:80/a@b", "https://user@host/x and http://[::1]:80/a@b"),
        ("mail a@b.example: 3 tokens", "mail a@b.example: 3 tokens"),
    ],
)
def test_masking_takes_secrets_and_nothing_else(text: str, masked: str) -> None:
    assert mask(text) == masked
