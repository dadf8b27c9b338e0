"""All SQL of the calls, by table. A test asks SQLite for the plan of each and refuses one that scans a growing table.

Ids come in as text and are turned into ``n`` by the statement itself.
"""

from __future__ import annotations

# --- the hot path ----------------------------------------------------------------------------------------------------

# One statement appends any number of flushes, so that the writer gives up and takes back the interpreter's lock once per
# commit and not once per row. It inserts into a view; the trigger does, for each entry, what an append is: the update
# that is the fence, and the entry if it passed. The view and the trigger are made anew by each connection.
#
# A flush of several entries marks the row with its number negated until its last entry, so that an entry is only ever
# appended after the one before it in the same flush. ``low`` to ``high`` is what ``flush`` must be, ``mark`` what it
# becomes.
DOOR = (
    """
CREATE TEMP VIEW door AS SELECT
    NULL AS conversation, NULL AS node, NULL AS epoch, NULL AS low, NULL AS high, NULL AS mark,
    NULL AS seq, NULL AS type, NULL AS data
""",
    """
CREATE TEMP TRIGGER append INSTEAD OF INSERT ON door BEGIN
    UPDATE main.log SET next_seq = new.seq + 1, flush = new.mark
        WHERE id = new.conversation AND node = new.node AND epoch = new.epoch
        AND next_seq = new.seq AND flush BETWEEN new.low AND new.high;
    INSERT INTO main.entry
        SELECT n, new.seq, new.epoch, new.type, new.data FROM main.log WHERE id = new.conversation AND changes() = 1;
END
""",
)
APPEND = """
INSERT INTO door SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8 FROM jsonb_each(?)
"""

# --- the log ---------------------------------------------------------------------------------------------------------

FENCE = """
UPDATE log SET next_seq = next_seq + ?, flush = ?, unfinished = coalesce(?, unfinished)
WHERE id = ? AND node = ? AND epoch = ? AND next_seq = coalesce(?, next_seq) AND flush < ? RETURNING n, next_seq
"""
HAPPENED = "SELECT 1 FROM log WHERE id = ? AND node = ? AND epoch = ? AND flush >= ?"
ADD_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?)"
#: Up to eight at once; the n-th takes n of them.
ADD_ENTRIES = tuple(ADD_ENTRY + ", (?, ?, ?, ?, ?)" * more for more in range(8))
ADD_LOG = """
INSERT INTO log (id, node, epoch, next_seq, flush) VALUES (?, ?, 1, ?, 0) ON CONFLICT DO NOTHING RETURNING n
"""
NUMBER = "SELECT n FROM log WHERE id = ?"
CLAIM = "UPDATE log SET node = ?, epoch = epoch + 1 WHERE id = ? RETURNING n, epoch, next_seq, flush"
EVENTS = """
SELECT seq, epoch, type, CAST(data AS BLOB) FROM entry
WHERE conversation = (SELECT n FROM log WHERE id = ?) AND seq >= ? ORDER BY seq LIMIT ?
"""
ENTRIES = (
    "SELECT seq, epoch, type, CAST(data AS BLOB) FROM entry WHERE conversation = ? AND seq >= ? ORDER BY seq LIMIT ?"
)
LAST_EPOCH = "SELECT epoch FROM entry WHERE conversation = ? AND seq = ?"
POSITION = "SELECT floor, next_seq FROM log WHERE id = ?"
UNFINISHED = "SELECT id FROM log WHERE unfinished = 1 AND node <> ? ORDER BY n"
UNFINISHED_OF = """
SELECT s.state FROM log l JOIN conversation c ON c.n = l.n JOIN snapshot s ON s.conversation = l.n
WHERE l.unfinished = 1 AND c.owner = ? LIMIT ?
"""
SNAPSHOT = "SELECT state, seq FROM snapshot WHERE conversation = ?"
PUT_SNAPSHOT = "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)"
RECEIPT = (
    "SELECT command, digest, receipt FROM receipt WHERE conversation = (SELECT n FROM log WHERE id = ?) AND command = ?"
)
ADD_RECEIPT = "INSERT INTO receipt VALUES (?, ?, ?, ?)"

RIPE = """
SELECT c.id FROM conversation c JOIN log l ON l.n = c.n
WHERE c.updated >= ? AND c.updated < ? AND l.unfinished = 0 AND l.floor < l.next_seq ORDER BY c.updated LIMIT ?
"""
RAISE_FLOOR = """
UPDATE log SET floor = next_seq WHERE id = ? AND unfinished = 0 AND floor < next_seq
AND (SELECT updated FROM conversation c WHERE c.n = log.n) < ? RETURNING n
"""
DROP_PARTS = "DELETE FROM entry WHERE conversation = ? AND type >= 'part.' AND type < 'part/'"
TRASH = "SELECT id FROM conversation WHERE trashed = 1 AND updated < ? ORDER BY updated LIMIT ?"
IS_TRASH = "SELECT 1 FROM conversation WHERE n = ? AND trashed = 1 AND updated < ?"
PURGE = (
    "DELETE FROM message_text WHERE rowid IN (SELECT n FROM message WHERE conversation = ?)",
    "DELETE FROM message WHERE conversation = ?",
    "DELETE FROM title_text WHERE rowid = ?",
    "DELETE FROM entry WHERE conversation = ?",
    "DELETE FROM snapshot WHERE conversation = ?",
    "DELETE FROM receipt WHERE conversation = ?",
    "DELETE FROM share WHERE conversation = ?",
    "DELETE FROM conversation WHERE n = ?",
    "DELETE FROM log WHERE n = ?",
)

# --- conversations ---------------------------------------------------------------------------------------------------

#: Not a replacement of the row, which would write every index: an id and an owner do not change.
PUT_HEADER = """
INSERT INTO conversation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET updated = excluded.updated,
    archived = excluded.archived, pinned = excluded.pinned, folder = excluded.folder, trashed = excluded.trashed,
    body = excluded.body
"""
HEADER = "SELECT body FROM conversation WHERE id = ?"
HEADER_BY_NUMBER = "SELECT body FROM conversation WHERE n = ?"
OWNER = "SELECT owner FROM conversation WHERE n = ?"
VIEW = """
SELECT l.n, c.body, l.next_seq, s.state, coalesce(s.seq, 0) FROM log l JOIN conversation c ON c.n = l.n
LEFT JOIN snapshot s ON s.conversation = l.n WHERE l.id = ?
"""
#: The parts of which a list's statement is made; see ``_reads.list_statement``.
LIST = "SELECT updated, id, body FROM conversation WHERE trashed = 0 AND owner = :owner"
LIST_TRASHED = "SELECT updated, id, body FROM conversation WHERE trashed = 1 AND owner = :owner"
LIST_FILTERS = {
    "archived": " AND archived = :archived",
    #: Beside another filter: the plus keeps SQLite from the index of ``archived``, in which it would skip row after row.
    "archived too": " AND +archived = :archived",
    "pinned": " AND pinned = 1",
    "unpinned": " AND pinned = 0",
    "folder": " AND folder = :folder",
    "match": " AND n IN (SELECT rowid FROM title_text WHERE title_text MATCH :match UNION "
    "SELECT m.conversation FROM message_text t JOIN message m ON m.n = t.rowid WHERE message_text MATCH :match)",
    "cursor": " AND (updated, id) < (:updated, :id)",
}
LIST_END = " ORDER BY updated DESC, id DESC LIMIT :limit"

# --- messages --------------------------------------------------------------------------------------------------------

FIND_MESSAGE = "SELECT n, conversation, removed FROM message WHERE id = ?"
ADD_MESSAGE = """
INSERT INTO message (id, conversation, parent, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING n
"""
#: Several at once, whose numbers must be known for the index: the writer is alone.
NEXT_MESSAGE = "SELECT coalesce(max(n), 0) + 1 FROM message"
ADD_NUMBERED = "INSERT INTO message (n, id, conversation, parent, body) VALUES (?, ?, ?, ?, ?)"
SET_MESSAGE = "UPDATE message SET parent = ?, body = ? WHERE n = ?"
#: A message that waits for its turn is as one that was removed, save that it may come: ``removed`` is 2. When it does it
#: gets a new row, since rows are in the order in which they were said.
ADD_WAITING = """
INSERT INTO message (id, conversation, removed, body) VALUES (?, ?, 2, '') ON CONFLICT (id) DO NOTHING RETURNING n
"""
REMOVE = """
WITH RECURSIVE below (n, id) AS (
    SELECT n, id FROM message WHERE id = ?2 AND conversation = ?1
    UNION SELECT m.n, m.id FROM below JOIN message m ON m.conversation = ?1 AND m.parent = below.id AND m.removed = 0
) UPDATE message SET removed = 1, body = '' WHERE n IN (SELECT n FROM below) RETURNING n
"""
DROP_WAITING = "DELETE FROM message WHERE n = ?"
MESSAGE = "SELECT body FROM message WHERE id = ? AND removed = 0"
MESSAGE_VIEW = (
    "SELECT m.conversation, c.body, m.body FROM message m JOIN conversation c ON c.n = m.conversation"
    " WHERE m.id = ? AND m.removed = 0"
)
TAKEN = "SELECT 1 FROM message WHERE id = ?"
PATH = """
WITH RECURSIVE up (n, parent) AS (
    SELECT n, parent FROM message WHERE id = ?2 AND conversation = ?1 AND removed = 0
    UNION ALL SELECT m.n, m.parent FROM up JOIN message m ON m.id = up.parent WHERE m.conversation = ?1 AND m.removed = 0
    LIMIT ?3
) SELECT m.body FROM up CROSS JOIN message m ON m.n = up.n
"""
#: Downwards from ?3, or from the root when that is NULL; the first row is ?3 itself, if it is above.
ONWARD = """
WITH RECURSIVE up (n, id, parent, depth) AS (
    SELECT n, id, parent, 0 FROM message WHERE id = ?2 AND conversation = ?1 AND removed = 0
    UNION ALL SELECT m.n, m.id, m.parent, up.depth + 1 FROM up JOIN message m ON m.id = up.parent
    WHERE up.id IS NOT ?3 AND m.conversation = ?1 AND m.removed = 0
) SELECT n, id FROM up ORDER BY depth DESC LIMIT ?4
"""
#: By the index of children, which has all that is asked.
TREE = "SELECT n FROM message WHERE conversation = ?1 AND removed = 0 AND n >= ?2 ORDER BY n LIMIT ?3"
BODY = "SELECT body FROM message WHERE n = ?"
PLACE = "SELECT n FROM message WHERE id = ?"
ABOVE = """
WITH RECURSIVE up (id, parent) AS (
    SELECT id, parent FROM message WHERE id = ?3 AND conversation = ?1 AND removed = 0
    UNION ALL SELECT m.id, m.parent FROM up JOIN message m ON m.id = up.parent WHERE m.conversation = ?1 AND m.removed = 0
) SELECT 1 FROM up WHERE id = ?2 LIMIT 1
"""
DOWN = """
WITH RECURSIVE down (id) AS (
    VALUES (?2)
    UNION ALL SELECT (
        SELECT m.id FROM message m WHERE m.conversation = ?1 AND m.parent = down.id AND m.removed = 0
        ORDER BY m.n DESC LIMIT 1
    ) FROM down WHERE down.id IS NOT NULL
) SELECT id FROM down WHERE id IS NOT NULL
"""
PARENT = "SELECT parent FROM message WHERE id = ? AND conversation = ? AND removed = 0"
CHILDREN = "SELECT id FROM message WHERE conversation = ? AND parent IS ? AND removed = 0 AND n > ? ORDER BY n LIMIT ?"
CHILDREN_BEFORE = """
SELECT id FROM message WHERE conversation = ? AND parent IS ? AND removed = 0 AND n < ? ORDER BY n DESC LIMIT ?
"""

# --- full text -------------------------------------------------------------------------------------------------------

DROP_TEXT = "DELETE FROM message_text WHERE rowid = ?"
ADD_TEXT = "INSERT INTO message_text (rowid, owner, text) VALUES (?, ?, ?)"
DROP_TITLE = "DELETE FROM title_text WHERE rowid = ?"
ADD_TITLE = "INSERT INTO title_text (rowid, owner, text) VALUES (?, ?, ?)"

# --- the store itself ------------------------------------------------------------------------------------------------

FACTS = "SELECT key, value FROM store"
PUT_FACT = "INSERT OR REPLACE INTO store VALUES (?, ?)"
CHECK = "INSERT INTO store VALUES ('checked', 1) ON CONFLICT DO UPDATE SET value = value + 1"
