"""All SQL of the log, of conversations and of messages. A test asks PostgreSQL for the plan of each statement and refuses
one that scans a growing table.

Ids come in as text and are turned into ``n`` by the statement itself. Values are named; ``%(x)b`` is one that is sent in
binary, as all arrays are, so that their type does not depend on what is in them. A plan must not depend on what PostgreSQL
knows of a young table: ``+ 0`` keeps it from an index that would find a whole conversation, ``OFFSET 0`` from turning a
look-up into a walk. Whatever waits for a row's lock sees that
row anew, but the rest of the database as it was before the wait: what is read after a lock is a statement of its own.
"""

from __future__ import annotations

from trialogue import SIBLINGS as _MOST_SIBLINGS
from trialogue_postgres._files_sql import PURGE_FILES
from trialogue_postgres._nodes_sql import PURGE_KEPT

# --- the hot path ----------------------------------------------------------------------------------------------------

#: Any number of flushes. The update is the fence (I1, I6); entries are written for those that passed it, and for no other.
#: ``place`` tells a flush from the others, ``first`` is -1 for one that begins anywhere, ``unfinished`` -1 for one that
#: does not change it.
APPEND = """
WITH flush AS (
    SELECT * FROM unnest(
        %(places)b::bigint[], %(ids)b::text[], %(nodes)b::text[], %(epochs)b::bigint[], %(numbers)b::bigint[],
        %(firsts)b::bigint[], %(counts)b::bigint[], %(unfinished)b::bigint[]
    ) AS f (place, id, node, epoch, number, first, count, unfinished)
), passed AS (
    UPDATE log SET
        next_seq = log.next_seq + f.count,
        flush = f.number,
        unfinished = CASE f.unfinished WHEN -1 THEN log.unfinished ELSE f.unfinished = 1 END
    FROM flush AS f
    WHERE log.id = f.id AND log.node = f.node AND log.epoch = f.epoch AND log.flush < f.number
        AND (log.next_seq = f.first OR f.first = -1)
    RETURNING f.place, log.n, log.next_seq, log.epoch
), added AS (
    INSERT INTO entry (conversation, seq, epoch, type, data)
    SELECT passed.n, e.seq, passed.epoch, e.type, e.data
    FROM unnest(%(entry_places)b::bigint[], %(seqs)b::bigint[], %(types)b::text[], %(datas)b::bytea[])
        AS e (place, seq, type, data)
    JOIN passed ON passed.place = e.place
)
SELECT place, n, next_seq FROM passed
"""
#: Of flushes that did not pass: those that had happened before, as only a conversation's owner sends higher numbers.
HAPPENED = """
SELECT f.place FROM unnest(
    %(places)b::bigint[], %(ids)b::text[], %(nodes)b::text[], %(epochs)b::bigint[], %(numbers)b::bigint[]
) AS f (place, id, node, epoch, number)
JOIN log ON log.id = f.id AND log.node = f.node AND log.epoch = f.epoch AND log.flush >= f.number
"""

# --- what follows from a flush ---------------------------------------------------------------------------------------

ADD_ENTRIES = """
INSERT INTO entry (conversation, seq, epoch, type, data)
SELECT * FROM unnest(%(ns)b::bigint[], %(seqs)b::bigint[], %(epochs)b::bigint[], %(types)b::text[], %(datas)b::bytea[])
"""
PUT_HEADERS = """
INSERT INTO conversation (n, id, owner, updated, archived, pinned, folder, trashed, head, title_words, body)
SELECT h.n, h.id, h.owner, h.updated, h.archived, h.pinned, h.folder, h.trashed, h.head,
    CASE WHEN h.words <> '' THEN array_to_tsvector(ARRAY['=' || md5(h.owner)]) || h.words::tsvector END, h.body
FROM unnest(
    %(ns)b::bigint[], %(ids)b::text[], %(owners)b::text[], %(updated)b::timestamptz[], %(archived)b::boolean[],
    %(pinned)b::boolean[], %(folders)b::text[], %(trashed)b::boolean[], %(heads)b::text[], %(words)b::text[],
    %(bodies)b::text[]
) AS h (n, id, owner, updated, archived, pinned, folder, trashed, head, words, body)
ON CONFLICT (n) DO UPDATE SET updated = excluded.updated, archived = excluded.archived, pinned = excluded.pinned,
    folder = excluded.folder, trashed = excluded.trashed, head = excluded.head, unpruned = true,
    title_words = excluded.title_words, body = excluded.body
"""
PUT_SNAPSHOTS = """
INSERT INTO snapshot (conversation, seq, state)
SELECT * FROM unnest(%(ns)b::bigint[], %(seqs)b::bigint[], %(states)b::bytea[])
ON CONFLICT (conversation) DO UPDATE SET seq = excluded.seq, state = excluded.state
"""
#: In the order given, which is that of their numbers. A removed one stays so. One of another conversation is refused, as a
#: row without a conversation.
PUT_MESSAGES = """
INSERT INTO message (id, conversation, parent, body, owner, role, model, created, lat, lon, words)
SELECT m.id, m.n, m.parent, m.body, c.owner, m.role, m.model, m.created, m.lat, m.lon,
    CASE WHEN m.words <> '' THEN array_to_tsvector(ARRAY['=' || md5(c.owner)]) || m.words::tsvector END
FROM unnest(
    %(ns)b::bigint[], %(ids)b::text[], %(parents)b::text[], %(bodies)b::text[], %(roles)b::text[], %(models)b::text[],
    %(created)b::timestamptz[], %(lats)b::float8[], %(lons)b::float8[], %(words)b::text[]
) WITH ORDINALITY AS m (n, id, parent, body, role, model, created, lat, lon, words, place)
JOIN conversation AS c ON c.n = m.n
ORDER BY m.place
ON CONFLICT (id) DO UPDATE SET
    conversation = CASE WHEN message.conversation = excluded.conversation THEN message.conversation END,
    n = CASE WHEN message.waiting THEN excluded.n ELSE message.n END,
    parent = excluded.parent, removed = false, waiting = false, body = excluded.body, owner = excluded.owner,
    role = excluded.role, model = excluded.model, created = excluded.created, lat = excluded.lat, lon = excluded.lon,
    words = excluded.words
WHERE NOT message.removed OR message.waiting OR message.conversation <> excluded.conversation
"""
#: Refused when there is, or was, one with such an id.
ADD_WAITING = """
INSERT INTO message (id, conversation, parent, removed, waiting, body)
SELECT w.id, w.n, '', true, true, '' FROM unnest(%(ns)b::bigint[], %(ids)b::text[]) AS w (n, id)
"""
REMOVE_MESSAGES = """
WITH RECURSIVE below (n, conversation, id) AS (
    SELECT m.n, m.conversation, m.id FROM unnest(%(ns)b::bigint[], %(ids)b::text[]) AS r (n, id)
    JOIN message AS m ON m.id = r.id AND m.conversation + 0 = r.n
    UNION SELECT m.* FROM below CROSS JOIN LATERAL (
        SELECT n, conversation, id FROM message
        WHERE conversation = below.conversation AND parent = below.id AND NOT removed OFFSET 0
    ) AS m
)
UPDATE message SET removed = true, waiting = false, body = '', words = NULL WHERE n = ANY (ARRAY(SELECT n FROM below))
"""
ADD_RECEIPTS = """
INSERT INTO receipt (conversation, command, digest, receipt)
SELECT * FROM unnest(%(ns)b::bigint[], %(commands)b::text[], %(digests)b::bytea[], %(receipts)b::text[])
"""

# --- the log ---------------------------------------------------------------------------------------------------------

ADD_LOG = """
INSERT INTO log (id, node, epoch, next_seq, flush) VALUES (%(id)s, %(node)s, 1, %(next_seq)s, 0)
ON CONFLICT (id) DO NOTHING RETURNING n
"""
CLAIM = "UPDATE log SET node = %(node)s, epoch = epoch + 1 WHERE id = %(id)s"
CLAIMED = """
SELECT l.epoch, l.next_seq, l.flush, c.body, s.state, coalesce(s.seq, 0)
FROM log AS l JOIN conversation AS c ON c.n = l.n LEFT JOIN snapshot AS s ON s.conversation = l.n WHERE l.id = %(id)s
"""
#: A page: ``total`` counts bytes up to each row, which are known without reading what is long. So in all that gives pages.
EVENTS = """
SELECT seq, epoch, type, data FROM (
    SELECT *, sum(octet_length(data)) OVER (ORDER BY seq) AS total FROM (
        SELECT seq, epoch, type, data FROM entry
        WHERE conversation = (SELECT n FROM log WHERE id = %(id)s) AND seq >= %(start)s ORDER BY seq LIMIT %(limit)s
    ) AS e
) AS e WHERE total <= %(size)s OR total = octet_length(data) ORDER BY seq
"""
POSITION = "SELECT floor, next_seq FROM log WHERE id = %(id)s"
RECEIPT = """
SELECT command, digest, receipt FROM receipt
WHERE conversation = (SELECT n FROM log WHERE id = %(id)s) AND command = %(command)s
"""
UNFINISHED = "SELECT id FROM log WHERE unfinished AND node <> %(node)s ORDER BY n"
UNFINISHED_OF = """
SELECT state FROM (
    SELECT n, state, sum(octet_length(state)) OVER (ORDER BY n) AS total FROM (
        SELECT l.n, s.state FROM log AS l
        CROSS JOIN LATERAL (SELECT owner FROM conversation WHERE n = l.n OFFSET 0) AS c
        CROSS JOIN LATERAL (SELECT state FROM snapshot WHERE conversation = l.n OFFSET 0) AS s
        WHERE l.unfinished AND c.owner = %(owner)s LIMIT %(limit)s
    ) AS s
) AS s WHERE total <= %(size)s OR total = octet_length(state)
"""

RIPE = """
SELECT c.id FROM conversation AS c JOIN log AS l ON l.n = c.n
WHERE c.unpruned AND c.updated < %(before)s AND NOT l.unfinished ORDER BY c.updated LIMIT %(limit)s
"""
#: Not one that somebody else prunes now.
RAISE_FLOOR = """
UPDATE log SET floor = next_seq WHERE n = (
    SELECT l.n FROM log AS l JOIN conversation AS c ON c.n = l.n
    WHERE l.id = %(id)s AND NOT l.unfinished AND l.floor < l.next_seq AND c.updated < %(before)s
    FOR NO KEY UPDATE OF l SKIP LOCKED
) RETURNING n
"""
PRUNE = (
    """
DELETE FROM entry WHERE conversation = (SELECT n FROM log WHERE id = %(id)s AND floor = next_seq)
AND type >= 'part.' AND type < 'part/'
""",
    "UPDATE conversation SET unpruned = false WHERE n = (SELECT n FROM log WHERE id = %(id)s AND floor = next_seq)",
)
TRASH = "SELECT id FROM conversation WHERE trashed AND updated < %(before)s ORDER BY updated LIMIT %(limit)s"
LOCK = "SELECT n FROM log WHERE id = %(id)s FOR UPDATE"
IS_TRASH = "SELECT 1 FROM conversation WHERE n = %(n)s AND trashed AND updated < %(before)s"
#: What is long first: from the files on, others may wait who name the same ones.
PURGE = (
    "DELETE FROM entry WHERE conversation = %(n)s",
    "DELETE FROM snapshot WHERE conversation = %(n)s",
    "DELETE FROM receipt WHERE conversation = %(n)s",
    "DELETE FROM share WHERE conversation = %(n)s",
    PURGE_KEPT,
    *PURGE_FILES,
    "DELETE FROM message WHERE conversation = %(n)s",
    "DELETE FROM conversation WHERE n = %(n)s",
    "DELETE FROM log WHERE n = %(n)s",
)

# --- conversations ---------------------------------------------------------------------------------------------------

HEADER = "SELECT body FROM conversation WHERE id = %(id)s"

#: The ids that share a parent with message ``m`` of conversation ``l``, the nearest ones, oldest first, as JSON.
_SIBLINGS = f"""
to_json(ARRAY(
    SELECT s.id FROM (
        (SELECT s.n, s.id FROM message AS s WHERE s.conversation = l.n AND s.parent = m.parent AND NOT s.removed
            AND s.n <= m.n ORDER BY s.n DESC LIMIT {_MOST_SIBLINGS + 1})
        UNION ALL (SELECT s.n, s.id FROM message AS s WHERE s.conversation = l.n AND s.parent = m.parent AND NOT s.removed
            AND s.n > m.n ORDER BY s.n LIMIT {_MOST_SIBLINGS})
    ) AS s ORDER BY s.n
))::text
"""
#: A conversation as of one moment, which one statement sees: its row, the last entry's epoch, the first entries after the
#: snapshot, and the end of the active branch.
VIEW = f"""
SELECT c.body, l.next_seq, s.state,
    (SELECT last.epoch FROM entry AS last WHERE last.conversation = l.n AND last.seq = l.next_seq - 1),
    e.seqs, e.epochs, e.types, e.datas, b.bodies, b.siblings
FROM log AS l JOIN conversation AS c ON c.n = l.n LEFT JOIN snapshot AS s ON s.conversation = l.n
CROSS JOIN LATERAL (
    SELECT array_agg(seq ORDER BY seq), array_agg(epoch ORDER BY seq), array_agg(type ORDER BY seq),
        array_agg(data ORDER BY seq)
    FROM (
        SELECT * FROM entry WHERE conversation = l.n AND seq >= coalesce(s.seq, 0) ORDER BY seq LIMIT %(entries)s
    ) AS early
) AS e (seqs, epochs, types, datas)
CROSS JOIN LATERAL (
    WITH RECURSIVE up (n, parent, body, depth, total) AS (
        SELECT n, parent, body, 1::bigint, octet_length(body)::bigint FROM message
        WHERE id = c.head AND conversation + 0 = l.n AND NOT removed AND %(limit)s > 0
        UNION ALL SELECT m.*, up.depth + 1, up.total + octet_length(m.body) FROM up CROSS JOIN LATERAL (
            SELECT n, parent, body FROM message
            WHERE id = up.parent AND conversation + 0 = l.n AND NOT removed OFFSET 0
        ) AS m WHERE up.depth < %(limit)s AND up.total + octet_length(m.body) <= %(size)s
    )
    SELECT array_agg(m.body ORDER BY m.depth DESC), array_agg({_SIBLINGS} ORDER BY m.depth DESC) FROM up AS m
) AS b (bodies, siblings)
WHERE l.id = %(id)s
"""
TREE = f"""
SELECT c.body, l.next_seq, s.state, b.next, b.bodies, b.siblings
FROM log AS l JOIN conversation AS c ON c.n = l.n LEFT JOIN snapshot AS s ON s.conversation = l.n
CROSS JOIN LATERAL (
    SELECT min(m.n) FILTER (WHERE NOT fits), array_agg(m.body ORDER BY m.n) FILTER (WHERE fits),
        array_agg({_SIBLINGS} ORDER BY m.n) FILTER (WHERE fits)
    FROM (
        SELECT *, place <= %(limit)s AND (total <= %(size)s OR place = 1) AS fits FROM (
            SELECT *, sum(octet_length(body)) OVER (ORDER BY n) AS total, row_number() OVER (ORDER BY n) AS place FROM (
                SELECT n, parent, body FROM message WHERE conversation = l.n AND NOT removed AND n >= %(start)s
                ORDER BY n LIMIT %(limit)s + 1
            ) AS m
        ) AS m
    ) AS m
) AS b (next, bodies, siblings)
WHERE l.id = %(id)s
"""

#: The parts of which a list's statement is made; see ``_lists.list_statement``. What has the words is found first, once, and
#: then looked for in a hash: ``IS TRUE`` keeps it from being joined.
LIST_MATCHES = """
WITH found (n) AS MATERIALIZED (
    SELECT n FROM conversation WHERE title_words @@ %(match)s::text::tsquery
    UNION SELECT conversation FROM message WHERE words @@ %(match)s::text::tsquery
)
"""
LIST = "SELECT updated, id, body FROM conversation WHERE NOT trashed AND owner = %(owner)s"
LIST_TRASHED = "SELECT updated, id, body FROM conversation WHERE trashed AND owner = %(owner)s"
LIST_FILTERS = {
    "archived": " AND archived = %(archived)s",
    "pinned": " AND pinned",
    "unpinned": " AND NOT pinned",
    "folder": " AND folder = %(folder)s",
    "match": " AND (n IN (SELECT n FROM found)) IS TRUE",
    "cursor": " AND (updated, id) < (%(updated)s, %(id)s)",
}
LIST_END = " ORDER BY updated DESC, id DESC LIMIT %(limit)s + 1"
#: Around it: of the rows that do not fit into the page only that there are some.
LIST_PAGE = """
SELECT updated, id, CASE WHEN place <= %(limit)s AND (total <= %(size)s OR place = 1) THEN body END FROM (
    SELECT *, sum(octet_length(body)) OVER listed AS total, row_number() OVER listed AS place
    FROM ({}) AS l WINDOW listed AS (ORDER BY updated DESC, id DESC)
) AS l ORDER BY updated DESC, id DESC
"""

# --- messages --------------------------------------------------------------------------------------------------------

MESSAGE = "SELECT body FROM message WHERE id = %(id)s AND NOT removed"
MESSAGE_VIEW = f"""
SELECT c.body, m.body, {_SIBLINGS}
FROM message AS m JOIN log AS l ON l.n = m.conversation JOIN conversation AS c ON c.n = l.n
WHERE m.id = %(id)s AND NOT m.removed
"""
TAKEN = "SELECT 1 FROM message WHERE id = %(id)s"

#: From ``leaf`` upwards, as far as ``stop`` lets it.
_UP = """
WITH RECURSIVE up (n, id, parent, size, depth, total) AS (
    SELECT m.n, m.id, m.parent, octet_length(m.body), 1::bigint, octet_length(m.body)::bigint FROM message AS m
    WHERE m.id = %(leaf)s AND m.conversation + 0 = (SELECT n FROM log WHERE id = %(id)s) AND NOT m.removed
    UNION ALL SELECT m.*, up.depth + 1, up.total + m.size FROM up CROSS JOIN LATERAL (
        SELECT n, id, parent, octet_length(body) AS size FROM message
        WHERE id = up.parent AND conversation + 0 = (SELECT n FROM log WHERE id = %(id)s) AND NOT removed OFFSET 0
    ) AS m WHERE {stop}
)
"""
PATH = (
    _UP.format(stop="up.depth < %(limit)s AND up.total + m.size <= %(size)s")
    + "SELECT m.body FROM up JOIN message AS m ON m.n = up.n ORDER BY up.depth DESC"
)
#: Downwards from ``after``, or from the root when that is ''; the first row is ``after`` itself, if it is above.
ONWARD = (
    _UP.format(stop="up.id <> %(after)s")
    + """
SELECT u.id, CASE WHEN u.id <> %(after)s THEN m.body END FROM (
    SELECT *, sum(size) OVER (ORDER BY depth DESC) AS given FROM (
        SELECT n, id, depth, CASE WHEN id = %(after)s THEN 0 ELSE size END AS size
        FROM up ORDER BY depth DESC LIMIT %(limit)s
    ) AS u
) AS u JOIN message AS m ON m.n = u.n WHERE given <= %(size)s OR given = size ORDER BY u.depth DESC
"""
)
ABOVE = _UP.format(stop="up.id <> %(message)s") + "SELECT 1 FROM up WHERE id = %(message)s LIMIT 1"
DOWN = """
WITH RECURSIVE down (id, depth) AS (
    SELECT %(message)s::text COLLATE "C", 0
    UNION ALL SELECT child.id, down.depth + 1 FROM down CROSS JOIN LATERAL (
        SELECT m.id FROM message AS m WHERE m.conversation = (SELECT n FROM log WHERE id = %(id)s)
        AND m.parent = down.id AND NOT m.removed ORDER BY m.n DESC LIMIT 1
    ) AS child
)
SELECT id FROM down WHERE depth > 0 ORDER BY depth DESC LIMIT 1
"""
SIBLINGS = f"""
SELECT m.id, {_SIBLINGS} FROM log AS l JOIN message AS m ON m.conversation + 0 = l.n
WHERE l.id = %(id)s AND m.id = ANY (%(messages)b::text[]) AND NOT m.removed
"""

# --- the store itself ------------------------------------------------------------------------------------------------

FACTS = "SELECT key, value FROM store"
PUT_FACT = "INSERT INTO store VALUES (%(key)s, %(value)s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
CHECK = "INSERT INTO store VALUES ('checked', now()) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
