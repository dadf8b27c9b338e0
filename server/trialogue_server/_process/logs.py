"""Logs: standard library records, one line each on standard error, as text for a person or as JSON for a machine.

Give facts as fields and not inside the sentence: ``log.info("run ended", extra={"run": run.id})``. What a line holds of
secrets is masked, and a message cannot forge a second line. Contents of conversations are not logged at all.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from trialogue_server._settings.masking import HIDDEN, SECRET_NAME, mask
from trialogue_server.config import Config

#: What the standard library puts on each record; everything else was given as ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: The ids that every line tells which is logged while a request is answered: set by whoever answers it, and emptied when
#: it is. Tasks that live longer than the request are started outside of its context.
REQUEST: ContextVar[dict[str, str] | None] = ContextVar("request", default=None)

#: Libraries whose debug lines hold whole requests, prompts included; they stay at warnings whatever is configured.
_TALKATIVE = ("anthropic", "httpcore2", "httpx2", "mcp", "openai")


def configure(config: Config, stream: TextIO | None = None) -> logging.Handler:
    """Send everything that is logged, warnings included, to ``stream`` (standard error). A second call replaces the first.

    Returns the handler, whose removal from the root logger undoes it.
    """
    handler = _Lines(stream or sys.stderr)
    as_text = config.log_format == "text" or (config.log_format == "auto" and handler.stream.isatty())
    formatter = TextFormatter() if as_text else JsonFormatter()
    handler.setFormatter(JournalFormatter(formatter) if is_journal(handler.stream) else formatter)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Lines)] + [handler]
    root.setLevel(config.log_level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return handler


class _Lines(logging.StreamHandler[TextIO]):
    """Ours, to be told from those that others put on the root logger."""


class TextFormatter(logging.Formatter):
    """``05:46:00.123 warning trialogue.plugins  plugin x set aside  reason="..."``, then a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, masked."""
        time = _time(record).strftime("%H:%M:%S.%f")[:-3]
        if isinstance(record.msg, msgspec.Struct):
            return f"{time} {record.levelname.lower():<7} {record.name}: {record.msg}"
        fields = "".join(f" {name}={_readable(value)}" for name, value in _fields(record))
        message = _one_line(record.getMessage())
        line = f"{time} {record.levelname.lower():<7} {record.name}: {message}{fields}"
        return mask("\n".join([line, *filter(None, [self._traceback(record)])]))

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class JournalFormatter(logging.Formatter):
    """Puts before each line its priority, as systemd's journal wants it: it takes that off, and files the line under it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line, or the lines."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).split("\n"))


def is_journal(stream: TextIO) -> bool:
    """Whether systemd's journal is at the other end, as it says in a variable."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False  # No file, as in a test.
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the fields, and ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, masked. A message that is a struct brings fields of its own, in which there is nothing to mask."""
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, msgspec.Struct):
            return _encoder.encode(entry | msgspec.to_builtins(record.msg)).decode()
        entry["message"] = mask(record.getMessage())
        for name, value in _fields(record):
            entry.setdefault(name, _masked(value))
        if record.exc_info:
            entry["traceback"] = mask(self.formatException(record.exc_info))
        return _encoder.encode(entry).decode()


_encoder = msgspec.json.Encoder(enc_hook=lambda value: mask(repr(value)))
#: Least level, and its number in syslog.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    for name, value in ((REQUEST.get() or {}) | given).items():
        yield name, HIDDEN if SECRET_NAME.search(name) else value


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _readable(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if text.isprintable() and text and " " not in text and '"' not in text else repr(text)


def _masked(value: object) -> object:
    return mask(value) if isinstance(value, str) else value


def _one_line(text: str) -> str:
    # Control characters could forge a line or drive a terminal.
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
