"""What is read goes by an index, whatever has piled up; lists never touch messages."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest

import trialogue_sqlite
from trialogue import Conversation, Store, new_id
from trialogue.testing._kit_making import BEGAN, begin
from trialogue_sqlite import _accounts_sql, _files_sql, _ledger_sql, _search_sql, _sharing_sql
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._accounts_reads import audit_statement
from trialogue_sqlite._driver import Connection, connect
from trialogue_sqlite._files import page_statement
from trialogue_sqlite._reads import list_statement
from trialogue_sqlite._relevance import add_relevance
from trialogue_sqlite._rows import body_of, micros
from trialogue_sqlite._similar import load_vectors, similar_statement
from trialogue_sqlite._store import SQLiteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store:
        assert isinstance(store, SQLiteStore)
        yield store


#: Where there is SQL.
MODULES = (sql, _accounts_sql, _files_sql, _ledger_sql, _search_sql, _sharing_sql)


def statements() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith(("_", "LIST", "DOOR", "PAGE", "AUDIT", "SIGNS")):
                for place, statement in enumerate([value] if isinstance(value, str) else value):
                    yield f"{module.__name__}.{name}{place or ''}", statement
    for count in range(4):
        for wanted in itertools.combinations(_accounts_sql.AUDIT_FILTERS, count):
            yield f"AUDIT {' '.join(wanted)}", audit_statement(wanted)
    for count in range(4):
        for wanted in itertools.combinations(_files_sql.PAGE_FILTERS, count):
            yield f"PAGE {' '.join(wanted)}", page_statement(wanted)
    for count in range(4):
        for wanted in itertools.combinations(_search_sql.SIGNS_FILTERS, count):
            yield f"SIGNS {' '.join(wanted)}", similar_statement(list(wanted))
    names = ("archived", "archived too", "pinned", "unpinned", "folder", "match", "cursor", "trashed")
    for count in range(4):
        for wanted in itertools.combinations(names, count):
            yield f"LIST {' '.join(wanted)}", list_statement(wanted)


def plan_of(connection: Connection, statement: str) -> list[str]:
    # Values do not matter to a plan without statistics; there are as many as any statement takes.
    named = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    count = max([statement.count("?"), *map(int, re.findall(r"\?(\d)", statement))])
    count = len(set(re.findall(r"\?(\d)", statement))) or count
    values = named if named else (1,) * count
    return [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]


GROWING = (
    "log|entry|snapshot|receipt|conversation|message|account|session|[lcmsat]|file|file_body|message_file|blob|"
    "blob_name|share|import_job|charge|open_charge|usage_day|usage_conversation|budget|space|upload|f|b|mf|o|other|"
    "api_key|invitation|reset|identity|audit|[kri]|message_place|passage|passage_sign|unembedded|p|w"
)
#: Scanned on purpose: it ends at the first row.
ALLOWED = {
    "ANY_BLOB": {"SCAN blob"},
    # Of what waits alone: an index holds nothing else.
    "PENDING": {"SCAN file USING INDEX file_pending"},
    "OPEN_IMPORTS": {"SCAN import_job USING INDEX import_open"},
    # Ends when it has what was asked for, or is done once, when another embedder is used.
    "MARKED": {"SCAN unembedded"},
    "FORGET_SOME": {"SCAN passage_sign"},
    "MARK_FILES": {"SCAN file_body"},
    # Of the index of administrators, which ends at the first that is not the one in question.
    "OTHER_RULER": {"SCAN account USING INDEX account_rules"},
    "ANY_ACCOUNT": {"SCAN account USING COVERING INDEX sqlite_autoindex_account_2"},
}


async def test_no_statement_scans_what_grows(store: SQLiteStore) -> None:
    def plans(connection: Connection) -> dict[str, list[str]]:
        add_relevance(connection)
        load_vectors(connection)
        return {name: plan_of(connection, statement) for name, statement in statements()}

    found = await store.writer.run(plans)
    assert len(found) > 80
    for name, plan in found.items():
        scans = {step for step in plan if re.match(rf"SCAN ({GROWING})\b", step) and "VIRTUAL TABLE" not in step}
        assert scans <= ALLOWED.get(name.rpartition(".")[2], set()), (name, plan)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ([], "recent"),
        (["archived"], "listed"),
        (["unpinned", "archived"], "listed"),
        (["archived", "cursor"], "listed"),
        (["cursor"], "recent"),
        (["pinned", "archived too"], "pinned"),
        (["pinned", "archived too", "cursor"], "pinned"),
        (["folder", "archived too"], "folder"),
        (["folder", "cursor"], "folder"),
        (["trashed"], "trashed"),
        (["trashed", "cursor"], "trashed"),
    ],
)
async def test_lists_touch_no_messages_and_sort_nothing(store: SQLiteStore, wanted: list[str], index: str) -> None:
    plan = await store.writer.run(lambda connection: plan_of(connection, list_statement(wanted)))
    assert len(plan) == 1
    assert plan[0].startswith(f"SEARCH conversation USING INDEX conversation_{index} (owner=?"), plan


async def test_first_page_of_a_hundred_thousand_comes_at_once(tmp_path: Path) -> None:
    """Filled behind the store's back, which is quicker; five milliseconds, and no more than thrice a list of a hundred."""
    async with opened(tmp_path) as store:
        for _ in range(100):
            await begin(store, owner="small")
    fill_list(tmp_path / "trialogue.db", 100_000)
    async with opened(tmp_path) as store:
        small, large = [], []
        for _ in range(20):  # Alternating, so that whatever else the machine does meets both.
            small.append(await timed(store, "small"))
            large.append(await timed(store, "owner"))
    assert min(large) < 0.005
    assert min(large) < 3 * min(small) + 0.0005


def opened(data: Path) -> AbstractAsyncContextManager[Store]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", data)
    assert opening is not None
    return opening


async def timed(store: Store, owner: str) -> float:
    start = time.perf_counter()
    page = await store.conversations(owner, limit=50)
    spent = time.perf_counter() - start
    assert len(page.conversations) == 50
    return spent


def fill_list(path: Path, count: int) -> None:
    connection = connect(path, write=True)
    headers = (
        Conversation(new_id(), "owner", BEGAN, BEGAN + timedelta(seconds=number), title=f"Number {number}")
        for number in range(count)
    )
    rows = (
        (1_000 + place, header.id, header.owner, micros(header.updated_at), 0, 0, None, 0, body_of(header))
        for place, header in enumerate(headers)
    )
    with connection:
        connection.executemany(sql.PUT_HEADER, rows)
    connection.close()
