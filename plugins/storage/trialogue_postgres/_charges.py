"""Charges as rows: those that are open, and those that are settled with their sums. Written with the flushes they belong to,
and when a conversation goes with what is open in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from trialogue import Charge, period_of
from trialogue_postgres import _ledger_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import rows, send

_encode = msgspec.json.Encoder().encode
decode_charge = msgspec.json.Decoder(Charge).decode
#: A figure of one run that is more than this counts as this: whatever a provider says, the sums stay sums.
MOST = 10**13

_OPEN = ("owners", "runs", "conversations", "keys", "days", "bodies")
_FIGURES = ("estimated", "unpriced", "inputs", "outputs", "cache_reads", "cache_writes", "reasonings", "costs")
_SETTLED = ("owners", "names", "conversations", "keys", "models", "days", *_FIGURES, "bodies")


class Charges:
    """Some charges, by table, each column an array."""

    def __init__(self) -> None:
        self._open: dict[str, list[object]] = {name: [] for name in _OPEN}
        self._settled: dict[str, list[object]] = {name: [] for name in _SETTLED}

    def add(self, charge: Charge) -> None:
        about = (charge.owner, charge.run, charge.conversation, charge.key or "")
        day, body = period_of(charge.started_at).day, _encode(charge).decode()
        if charge.status == "reserved":
            _put(self._open, *about, day, body)
        else:
            _put(self._settled, *about, charge.model, day, *_figures(charge), body)

    def statements(self) -> Iterator[tuple[str, dict[str, list[object]]]]:
        """What writes them, in order. A run that is settled already, or opened twice, is refused."""
        yield sql.OPEN_CHARGES, self._open
        yield sql.SETTLE, self._settled


def _put(columns: dict[str, list[object]], *values: object) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)


def _figures(charge: Charge) -> tuple[int, ...]:
    billed = charge.billed
    if billed is None:
        return (1, 1, 0, 0, 0, 0, 0, 0)
    counts = (
        billed.input_tokens,
        billed.output_tokens,
        billed.cache_read_tokens,
        billed.cache_write_tokens,
        billed.reasoning_tokens,
        billed.cost,
    )
    known = (max(-MOST, min(count or 0, MOST)) for count in counts)
    return (int(charge.reported is None), int(billed.cost is None), *known)


async def close_charges(connection: TrioConnection, conversation: str) -> None:
    """Settle what is open in a conversation that is about to go: what came of it will never be told."""
    gone = Charges()
    for (body,) in await rows(connection, sql.LEFT_OPEN, {"id": conversation}):
        gone.add(replace(decode_charge(body), status="cancelled", ended_at=datetime.now(UTC)))
    for statement, columns in gone.statements():
        if columns["owners"]:
            await send(connection, statement, columns)
