"""Whether answers are what was asked for: JSON Schemas are checked when they come in, and answers when they are complete.

The checking is done in child processes (``schema_child``), two at a time, each within its bounds of time and memory.
What is done with an answer that does not fit is ``repairing``'s business.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec
import trio

from trialogue._deciding.commands import Command, CreateConversation, schema_of
from trialogue._facts.errors import InvalidError, LimitError
from trialogue._facts.values import AnswerSchema
from trialogue._files.inspection import ENVIRONMENT

_CHILD = Path(__file__).with_name("schema_child.py")
#: Where a request says it.
POINTER = "/settings/answer_schema"
#: Levels of arrays and objects in a schema. What is stored around it is nested, too.
DEEPEST = 32
#: Bytes of address space of a child: interpreter and library take less than half.
_MEMORY = 512 * 1024 * 1024
#: Schemas that are remembered to be good: what a busy server is asked with in an hour.
_REMEMBERED = 1_000


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, and where in the schema or the answer."""

    where: Literal["schema", "text"]
    pointer: str
    detail: str


class Fitting:
    """Checks for one node: schemas of at most ``most`` bytes, each check for at most ``seconds``."""

    def __init__(self, most: int, seconds: int) -> None:
        self._most = most
        self._seconds = seconds
        self._room = trio.CapacityLimiter(2)
        # Digests of schemas that were found good, the oldest first.
        self._good: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return f"<Fitting good={len(self._good)} busy={self._room.borrowed_tokens}>"

    async def check(self, wanted: AnswerSchema) -> None:
        """Raises ``InvalidError`` when it is no schema that can be checked against, ``LimitError`` when it is too large."""
        data = self._bounded(wanted)
        digest = hashlib.sha256(data).digest()
        if digest in self._good:
            return
        fault = await self._ask(wanted, None)
        if fault is not None:
            raise InvalidError(
                f"the answer's schema cannot be used: {fault.detail}", pointer=f"{POINTER}/schema{fault.pointer}"
            )
        while len(self._good) >= _REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[digest] = None

    async def check_command(self, command: Command | CreateConversation) -> None:
        """The same, of the schema that a command wants for an answer, if it wants one."""
        schema = schema_of(command)
        if schema is not None:
            await self.check(schema)

    async def misfit(self, wanted: AnswerSchema, text: str) -> Fault | None:
        """In what an answer is not what was wanted."""
        return await self._ask(wanted, text)

    def _bounded(self, wanted: AnswerSchema) -> bytes:
        data = msgspec.json.encode(wanted.schema)
        if len(data) > self._most:
            raise LimitError(
                f"the answer's schema has {len(data)} bytes, and may have {self._most} (answer_schema_bytes)",
                pointer=f"{POINTER}/schema",
            )
        if _is_deeper(wanted.schema, DEEPEST):
            raise LimitError(f"the answer's schema is nested deeper than {DEEPEST} levels", pointer=f"{POINTER}/schema")
        return data

    async def _ask(self, wanted: AnswerSchema, text: str | None) -> Fault | None:
        question = msgspec.json.encode({"schema": wanted.schema, "text": text})
        async with self._room:
            with trio.move_on_after(self._seconds):
                ended = await trio.run_process(
                    [sys.executable, "-P", str(_CHILD), str(self._seconds), str(_MEMORY)],
                    stdin=question,
                    capture_stdout=True,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    cwd="/",
                    env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | {"PYTHONUTF8": "1"},
                )
                if ended.returncode == 0:
                    return msgspec.json.decode(ended.stdout, type=Fault | None)
        where: Literal["schema", "text"] = "schema" if text is None else "text"
        return Fault(
            where, "", f"checking takes more than {self._seconds} s (answer_schema_seconds), or too much memory"
        )


def _is_deeper(value: object, levels: int) -> bool:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if inner is None:
        return False
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
