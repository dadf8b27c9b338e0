"""What is read goes by an index, whatever has piled up; lists never touch messages.

Planned as the store's own connections plan it, for values that are not known: they prefer any index to a scan, so a scan is
found only where no index can serve. A walk through all of an index counts as one.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from postgres_stores import open_dsn, open_schema, opening

from trialogue import Circle, SearchQuery
from trialogue.testing._kit_making import BEGAN, begin
from trialogue_postgres import _accounts_sql, _files_sql, _ledger_sql, _nodes_sql, _search_sql, _sharing_sql
from trialogue_postgres import _sql as sql
from trialogue_postgres._accounts import audit_statement
from trialogue_postgres._files import page_statement
from trialogue_postgres._lists import list_statement
from trialogue_postgres._similar import similar_statement
from trialogue_postgres._url import parse_url
from trialogue_postgres._windows import ORDER, best_statement

#: Where there is SQL.
MODULES = (sql, _accounts_sql, _files_sql, _ledger_sql, _nodes_sql, _search_sql, _sharing_sql)
#: What statements are made of.
PARTS = (
    "_",
    "LIST",
    "AUDIT",
    "PAGE",
    "NEAR",
    "WINDOW",
    "MATCH",
    "RANK",
    "ALIAS",
    "FILTERS",
    "BELOW",
    "BEST",
    "SIMILAR",
    "METRES",
)
#: Short for ever.
SHORT = {"store", "deletion", "embedder", "node"}
#: Walked through on purpose: each ends at its first row, or its index holds nothing but what is asked for.
ALLOWED = {
    "ANY_ACCOUNT": {"account", "account_pkey", "account_email_key"},
    "OTHER_RULER": {"account_rules"},
    "UNFINISHED": {"log_unfinished"},
    "OPEN_IMPORTS": {"import_open"},
    "FORGET_SOME": {"passage_pkey"},
    "WAITING": {"unembedded_pkey"},
    "PENDING": {"file_pending"},
    "FOLDER": {"blob", "blob_pkey", "blob_loose"},
    "UNFINISHED_OF": {"log_unfinished"},
    "ABANDONED": {"log_unfinished", "kept_command_waiting"},
    "KEPT": {"kept_command_waiting"},
    "MEMBERS": {"node_pkey"},
}

#: Searches with each filter, and with all.
QUERIES = (
    SearchQuery("owl"),
    SearchQuery("owl", conversation="one"),
    SearchQuery("owl", role="user", model="echo:one"),
    SearchQuery("owl", since=BEGAN, until=BEGAN),
    SearchQuery("owl", near=Circle(0, 0, 9)),
    SearchQuery("owl", conversation="one", role="user", since=BEGAN, near=Circle(0, 0, 9)),
    SearchQuery(near=Circle(0, 0, 9)),
)

Node = dict[str, Any]  # Any: a plan, as PostgreSQL tells it.


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with open_dsn() as dsn, open_schema(dsn) as url:
        yield url


@pytest.fixture
async def planner(url: str) -> AsyncIterator[psycopg.Connection[Any]]:
    async with opening(url):  # Which makes the tables.
        pass
    with psycopg.connect(parse_url(url).conninfo) as connection:
        yield connection
        connection.rollback()


def statements() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith(PARTS) and name not in {"LOCK", "ONE_AT_A_TIME"}:
                for place, statement in enumerate([value] if isinstance(value, str) else value):
                    yield f"{name}{place or ''}", statement
    for count in range(4):
        for wanted in itertools.combinations(_accounts_sql.AUDIT_FILTERS, count):
            yield f"AUDIT {' '.join(wanted)}", audit_statement(wanted)
    for count in range(4):
        for wanted in itertools.combinations(_files_sql.PAGE_FILTERS, count):
            yield f"PAGE {' '.join(wanted)}", page_statement(wanted)
    for number, query in enumerate(QUERIES):
        kinds = ORDER if query.near is None else (ORDER[0], ORDER[2])
        yield f"BEST {number}", best_statement(query, kinds, _search_sql.NEAR_BOX)
        yield f"SIMILAR {number}", similar_statement(query, ["message", "file"], _search_sql.NEAR_BOX)
    names = (*sql.LIST_FILTERS, "trashed")
    for count in range(4):
        for wanted in itertools.combinations(names, count):
            yield f"LIST {' '.join(wanted)}", list_statement(wanted)


def plan_of(connection: psycopg.Connection[Any], statement: str) -> Node:
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)", statement)))
    numbered = re.sub(r"%\((\w+)\)[sb]", lambda found: f"${names.index(found[1]) + 1}", statement)
    row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}".encode()).fetchone()
    assert row is not None
    found: Node = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return found


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def walks(plan: Node) -> set[str]:
    """The tables, or indexes, that a plan goes through from one end to the other."""
    found = set[str]()
    for node in nodes(plan):
        kind = node["Node Type"]
        if kind == "Seq Scan":
            found.add(node["Relation Name"])
        elif kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and "Index Cond" not in node:
            found.add(node["Index Name"])
    return found - SHORT


async def test_no_statement_walks_through_what_grows(planner: psycopg.Connection[Any]) -> None:
    found = {name: walks(plan_of(planner, statement)) for name, statement in statements()}
    assert len(found) > 90
    assert {name: walked for name, walked in found.items() if walked - ALLOWED.get(name, set())} == {}


def indexes(plan: Node) -> list[str]:
    return [node["Index Name"] for node in nodes(plan) if "Index Name" in node]


#: A list of which an eighth is each of archived, pinned and in the trash.
FILL = """
INSERT INTO conversation (n, id, owner, updated, archived, pinned, folder, trashed, body)
SELECT n, n::text, 'owner' || n % 5, now(), n % 8 = 0, n % 8 = 1, CASE n % 8 WHEN 2 THEN 'work' END, n % 8 = 3, ''
FROM generate_series(1, 10000) AS n;
ANALYZE conversation
"""


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ([], "recent"),
        (["archived"], "listed"),
        (["archived", "unpinned"], "listed"),
        (["archived", "cursor"], "listed"),
        (["archived", "folder"], "folder"),
        (["cursor"], "recent"),
        (["pinned", "cursor"], "pinned"),
        (["trashed"], "trashed"),
        (["trashed", "cursor"], "trashed"),
    ],
)
async def test_lists_touch_no_messages_and_sort_nothing(
    planner: psycopg.Connection[Any], wanted: list[str], index: str
) -> None:
    planner.execute(FILL)
    plan = plan_of(planner, list_statement(wanted))
    found = list(nodes(plan))
    assert [node["Node Type"] for node in found] == ["Subquery Scan", "WindowAgg", "Limit", "Index Scan"]
    assert indexes(plan) == [f"conversation_{index}"]
    assert "owner" in found[-1]["Index Cond"]


@pytest.mark.parametrize("statement", [sql.VIEW, sql.PATH, sql.ONWARD, sql.ABOVE, sql.REMOVE_MESSAGES])
async def test_branches_are_followed_by_ids(planner: psycopg.Connection[Any], statement: str) -> None:
    """And not by reading a whole conversation for each step."""
    scans = [node for node in nodes(plan_of(planner, statement)) if node.get("Index Name") == "message_id_key"]
    assert scans
    assert all("id" in node["Index Cond"] for node in scans)


async def test_fence_looks_each_conversation_up(planner: psycopg.Connection[Any]) -> None:
    assert indexes(plan_of(planner, sql.APPEND)) == ["log_id_key"]


#: Blocks of a message, and what a page of two may read besides them: indexes, and rows without what is long.
BLOCKS, BESIDES = 200_000 // 8192, 60


@pytest.mark.parametrize("statement", [sql.VIEW, sql.TREE])
async def test_page_reads_nothing_long_that_it_does_not_give(url: str, statement: str) -> None:
    async with opening(url) as store:
        talk = await begin(store)
        for _ in range(12):
            await talk.say(base64.b64encode(random.randbytes(150_000)).decode())
    values = {"id": talk.id, "limit": 10, "size": 450_000, "start": 0, "entries": 1}
    with psycopg.connect(parse_url(url).conninfo) as connection:
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode(), values).fetchone()
    assert row is not None
    plan: Node = row[0][0]["Plan"]
    assert 2 * BLOCKS < plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 3 * BLOCKS + BESIDES
