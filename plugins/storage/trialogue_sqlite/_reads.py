"""The reads: each a function of a connection that cannot write. ``_store`` says which run in a thread, and how many bytes
of rows a page may take: ``size``.
"""

from __future__ import annotations

from collections.abc import Sequence

from trialogue import (
    SIBLINGS,
    Conversation,
    ConversationPage,
    Done,
    Entry,
    InvalidError,
    Message,
    MessageView,
    TreeView,
    View,
    moment_cursor,
    moment_in,
    query_words,
)
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._mentioning import Mentions
from trialogue_sqlite._pages import page_of
from trialogue_sqlite._rows import decode_header, decode_message, decode_receipt

#: Entries that a view brings along: what a quiet conversation has after its snapshot.
FEW = 100

# --- the log ---------------------------------------------------------------------------------------------------------


def read_events(connection: Connection, conversation: str, start: int, limit: int, size: int) -> list[Entry]:
    """Entries from ``start`` on."""
    rows, _ = page_of(connection.execute(sql.EVENTS, (conversation, start, max(limit, 0))), limit, size)
    return [Entry(*row) for row in rows]


def read_position(connection: Connection, conversation: str) -> tuple[int, int] | None:
    """Floor and next number."""
    row = connection.execute(sql.POSITION, (conversation,)).fetchone()
    return None if row is None else (row[0], row[1])


def read_receipt(connection: Connection, conversation: str, command: str) -> Done | None:
    """What a command did."""
    row = connection.execute(sql.RECEIPT, (conversation, command)).fetchone()
    return None if row is None else Done(row[0], row[1], decode_receipt(row[2]))


def read_unfinished(connection: Connection, node: str) -> list[str]:
    """Conversations of other nodes with something left to do."""
    return [name for (name,) in connection.execute(sql.UNFINISHED, (node,))]


def read_unfinished_of(connection: Connection, owner: str, limit: int, size: int) -> list[bytes]:
    """States of one owner's conversations with something left to do."""
    rows, _ = page_of(connection.execute(sql.UNFINISHED_OF, (owner, max(limit, 0))), limit, size)
    return [state for (state,) in rows]


def read_ripe(connection: Connection, since: int, before: int, limit: int) -> list[str]:
    """Conversations that may be pruned, of those last changed in a span of time."""
    return [name for (name,) in connection.execute(sql.RIPE, (since, before, max(limit, 0)))]


# --- conversations and messages --------------------------------------------------------------------------------------


def read_header(connection: Connection, conversation: str) -> Conversation | None:
    """A conversation without its messages."""
    body = connection.execute(sql.HEADER, (conversation,)).get
    return None if body is None else decode_header(body)


def read_message(connection: Connection, message: str) -> Message | None:
    """A message."""
    body = connection.execute(sql.MESSAGE, (message,)).get
    return None if body is None else decode_message(body)


def read_message_view(connection: Connection, message: str) -> MessageView | None:
    """A message and where it stands, as of one moment."""
    with _one_moment(connection):
        row = connection.execute(sql.MESSAGE_VIEW, (message,)).fetchone()
        if row is None:
            return None
        n, header, body = row
        found = decode_message(body)
        siblings = _siblings(connection, n, [(found.id, found.parent)])
    return MessageView(decode_header(header), found, siblings[found.id])


def read_taken(connection: Connection, message: str) -> bool:
    """Whether any message has this id, or had it."""
    return connection.execute(sql.TAKEN, (message,)).get is not None


def read_view(connection: Connection, conversation: str, limit: int, size: int) -> View | None:
    """A conversation as of one moment: all statements see the same state."""
    with _one_moment(connection):
        row = connection.execute(sql.VIEW, (conversation,)).fetchone()
        if row is None:
            return None
        n, body, next_seq, state, after = row
        header = decode_header(body)
        entries = tuple(Entry(*entry) for entry in connection.execute(sql.ENTRIES, (n, after, FEW)))
        last = entries[-1].epoch if entries and entries[-1].seq == next_seq - 1 else None
        if last is None:
            last = connection.execute(sql.LAST_EPOCH, (n, next_seq - 1)).get
        messages = _path(connection, n, header.head, max(limit, 0), size)
        siblings = _siblings(connection, n, [(message.id, message.parent) for message in messages])
    more = (messages[0].parent if messages else header.head) is not None
    return View(header, next_seq, state, tuple(messages), siblings, more, last, entries)


def read_tree(connection: Connection, conversation: str, limit: int, cursor: str | None, size: int) -> TreeView | None:
    """A page of all branches, as of one moment."""
    start, limit = 0 if cursor is None else parse_tree_cursor(cursor), max(limit, 0)
    with _one_moment(connection):
        row = connection.execute(sql.VIEW, (conversation,)).fetchone()
        if row is None:
            return None
        n, body, next_seq, state, _ = row
        places = [place for (place,) in connection.execute(sql.TREE, (n, start, limit + 1))]
        messages = tuple(_messages(connection, places[:limit], size))
        siblings = _siblings(connection, n, [(message.id, message.parent) for message in messages])
    more = str(places[len(messages)]) if len(places) > len(messages) else None
    return TreeView(decode_header(body), next_seq, state, messages, siblings, more)


def parse_tree_cursor(cursor: str) -> int:
    """Where a tree goes on. Raises ``InvalidError``."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this tree: leave it out to start over")
    return int(cursor)


def read_onward(
    connection: Connection, conversation: str, leaf: str, after: str | None, limit: int, size: int
) -> list[Message]:
    """The branch of a leaf, downwards."""
    skipped = 0 if after is None else 1
    with _one_moment(connection):
        n = connection.execute(sql.NUMBER, (conversation,)).get
        rows = connection.execute(sql.ONWARD, (n, leaf, after, max(limit, 0) + skipped)).fetchall()
        if skipped and (not rows or rows[0][1] != after):
            return []
        return _messages(connection, [place for place, _ in rows[skipped:]], size)


def read_trash(connection: Connection, before: int, limit: int) -> list[str]:
    """What has been in the trash for long."""
    return [name for (name,) in connection.execute(sql.TRASH, (before, max(limit, 0)))]


def read_path(connection: Connection, conversation: str, leaf: str, limit: int, size: int) -> list[Message]:
    """A leaf and what is above it, oldest first."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    return _path(connection, n, leaf, max(limit, 0), size)


def read_is_above(connection: Connection, conversation: str, message: str, leaf: str) -> bool:
    """Whether one is the other or its ancestor."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    return bool(connection.execute(sql.ABOVE, (n, message, leaf)).get)


def read_leaf(connection: Connection, conversation: str, message: str) -> str:
    """The newest leaf below a message."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    return str(connection.execute(sql.DOWN, (n, message)).fetchall()[-1][0])


def read_siblings(connection: Connection, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The ids beside each message."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    found = [(name, connection.execute(sql.PARENT, (name, n)).fetchone()) for name in messages]
    return _siblings(connection, n, [(name, parent[0]) for name, parent in found if parent is not None])


def _path(connection: Connection, n: int | None, leaf: str | None, limit: int, size: int) -> list[Message]:
    rows, _ = page_of(connection.execute(sql.PATH, (n, leaf, limit)), limit, size)
    return [decode_message(body) for (body,) in reversed(rows)]


def _messages(connection: Connection, places: Sequence[int], size: int) -> list[Message]:
    """The messages at these places: a statement for each, so that none is read that is not given."""
    rows, _ = page_of(connection.executemany(sql.BODY, ((place,) for place in places)), len(places), size)
    return [decode_message(body) for (body,) in rows]


def _siblings(
    connection: Connection, n: int | None, messages: Sequence[tuple[str, str | None]]
) -> dict[str, tuple[str, ...]]:
    children: dict[str | None, tuple[str, ...]] = {}
    for parent in {parent for _, parent in messages}:
        children[parent] = tuple(name for (name,) in connection.execute(sql.CHILDREN, (n, parent, -1, SIBLINGS + 2)))
    return {
        name: children[parent] if len(children[parent]) <= SIBLINGS + 1 else _nearest(connection, n, name, parent)
        for name, parent in messages
    }


def _nearest(connection: Connection, n: int | None, message: str, parent: str | None) -> tuple[str, ...]:
    """Those beside one that has too many."""
    place = connection.execute(sql.PLACE, (message,)).get
    before = connection.execute(sql.CHILDREN_BEFORE, (n, parent, place, SIBLINGS)).fetchall()
    behind = connection.execute(sql.CHILDREN, (n, parent, place, SIBLINGS)).fetchall()
    return (*(name for (name,) in reversed(before)), message, *(name for (name,) in behind))


class _one_moment:
    """A read transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")


# --- lists -----------------------------------------------------------------------------------------------------------


def list_statement(wanted: Sequence[str]) -> str:
    """The statement of a list that is filtered as ``wanted`` says, by names of ``LIST_FILTERS``."""
    begin = sql.LIST_TRASHED if "trashed" in wanted else sql.LIST
    return begin + "".join(sql.LIST_FILTERS[name] for name in wanted if name != "trashed") + sql.LIST_END


def read_list(
    connection: Connection, owner: str, limit: int, cursor: str | None, filters: dict[str, str | bool | None], size: int
) -> ConversationPage:
    """A page of a list. ``filters`` are those of ``Store.conversations``, ``None`` for those that are not wanted."""
    values: dict[str, str | int | bool | None] = {"owner": owner, "limit": max(limit, 0) + 1, **filters}
    mentions: Mentions | None = None
    wanted = [] if filters["folder"] is None else ["folder"]
    if filters["pinned"] is not None:
        wanted.append("pinned" if filters["pinned"] else "unpinned")
    if filters["archived"] is not None:
        wanted.append("archived" if wanted in ([], ["unpinned"]) else "archived too")
    if (text := filters["text"]) is not None:
        words = query_words(str(text))
        if not words:
            return ConversationPage((), None)
        mentions = Mentions(connection, owner, words)
        values["match"] = mentions.match
        if not mentions.are_many:
            wanted.append("match")
    if cursor is not None:
        wanted.append("cursor")
        values["updated"], values["id"] = moment_in(cursor)
    if filters["trashed"]:
        wanted.append("trashed")
    if mentions is not None and mentions.are_many:
        values["limit"] = -1  # Read as far as needed.
    found = connection.execute(list_statement(wanted), values)
    fitting = (row for row in found if _fits(mentions, row[1]))
    page, cut = page_of(fitting, max(limit, 0), size)
    more = moment_cursor(page[-1][0], page[-1][1]) if page and cut else None
    return ConversationPage(tuple(decode_header(body) for _, _, body in page), more)


def _fits(mentions: Mentions | None, conversation: str) -> bool:
    """Whether the words are in it; when they are in few, the statement has looked already."""
    return mentions is None or not mentions.are_many or mentions.in_conversation(conversation)
