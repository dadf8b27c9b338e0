"""What PostgreSQL holds of a conversation after a run, read with nothing of ours, and a witness that is set up before.

The witness is a trigger: it writes down every change of a conversation's owner, epoch and end, in the order in which they
were committed, for that is the order of the row's lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from bench.sse import Frame

WITNESS = """
CREATE TABLE witness (
    at bigserial PRIMARY KEY, id text NOT NULL, node text NOT NULL, epoch bigint NOT NULL, old_seq bigint NOT NULL,
    new_seq bigint NOT NULL, flush bigint NOT NULL
);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness (id, node, epoch, old_seq, new_seq, flush)
    VALUES (NEW.id, NEW.node, NEW.epoch, CASE TG_OP WHEN 'INSERT' THEN 0 ELSE OLD.next_seq END, NEW.next_seq, NEW.flush);
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE OF node, epoch, next_seq, flush ON log
    FOR EACH ROW EXECUTE FUNCTION witness();
"""


@dataclass(frozen=True)
class Seen:
    """One change of a conversation's row, by its witness."""

    node: str
    epoch: int
    old_seq: int
    new_seq: int
    flush: int


@dataclass
class Evidence:
    """All there is of one conversation."""

    epoch: int
    next_seq: int
    unfinished: bool
    log: list[Frame]
    history: list[Seen]
    #: Texts of the stored answers, and the parents of messages, by id.
    texts: dict[str, str]
    parents: dict[str, str]
    commands: set[str]
    open_charges: int = 0
    #: Settled charges, and what the sums of the conversation say.
    charges: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sums: dict[str, int] = field(default_factory=dict[str, int])


def set_witness(dsn: str) -> None:
    """Watch from now on."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(WITNESS.encode())


def unfinished(dsn: str) -> int:
    """How many conversations have a live run, or a message that waits."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return int(_rows(connection, "SELECT count(*) FROM log WHERE unfinished")[0][0])


def collect(dsn: str, conversation: str) -> Evidence:
    """All of one conversation, as of one moment."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        ((n, epoch, next_seq, unfinished),) = _rows(
            connection, "SELECT n, epoch, next_seq, unfinished FROM log WHERE id = %s", conversation
        )
        generation = int(_rows(connection, "SELECT value FROM store WHERE key = 'generation'")[0][0])
        entries = _rows(connection, "SELECT seq, epoch, type, data FROM entry WHERE conversation = %s ORDER BY seq", n)
        history = _rows(
            connection,
            "SELECT node, epoch, old_seq, new_seq, flush FROM witness WHERE id = %s ORDER BY at",
            conversation,
        )
        messages = [
            json.loads(body)
            for (body,) in _rows(
                connection, "SELECT body FROM message WHERE conversation = %s AND NOT removed AND NOT waiting", n
            )
        ]
        return Evidence(
            epoch=epoch,
            next_seq=next_seq,
            unfinished=unfinished,
            log=[Frame(f"{generation:04}.{of:010}.{seq:012}", kind, bytes(data)) for seq, of, kind, data in entries],
            history=[Seen(*row) for row in history],
            texts={one["id"]: _text(one) for one in messages if one["role"] == "assistant"},
            parents={one["id"]: one.get("parent") or "" for one in messages if one["role"] == "assistant"},
            commands={name for (name,) in _rows(connection, "SELECT command FROM receipt WHERE conversation = %s", n)},
            open_charges=int(
                _rows(connection, "SELECT count(*) FROM open_charge WHERE conversation = %s", conversation)[0][0]
            ),
            charges=[
                json.loads(body)
                for (body,) in _rows(
                    connection, "SELECT body FROM charge WHERE body::json ->> 'conversation' = %s", conversation
                )
            ],
            sums=_sums(connection, conversation),
        )


def _sums(connection: psycopg.Connection[Any], conversation: str) -> dict[str, int]:
    names = ("runs", "input", "output", "cost")
    statement = f"SELECT {', '.join(f'sum({name})::bigint' for name in names)} FROM usage_conversation"
    (row,) = _rows(connection, f"{statement} WHERE conversation = %s", conversation)
    return {name: value or 0 for name, value in zip(names, row, strict=True)}


def _rows(connection: psycopg.Connection[Any], statement: str, *values: object) -> Sequence[Any]:
    return connection.execute(statement.encode(), values or None).fetchall()


def _text(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["parts"])
