"""The SQL of the facet for searches. A search reads a window of candidates by an index, then looks at each that is shown."""

from __future__ import annotations

#: Metres from a place to the middle of the circle.
_METRES = """12742017.6 * asin(min(1.0, sqrt(pow(sin(radians(:lat - lat) / 2), 2)
    + cos(radians(lat)) * cos(radians(:lat)) * pow(sin(radians(:lon - lon) / 2), 2))))"""
#: Within a circle. The box is what the index finds; a circle around a pole or across the antimeridian has two intervals.
_NEAR = f"""owner = :owner AND lat BETWEEN :south AND :north
    AND (lon BETWEEN :west AND :east OR lon BETWEEN :west2 AND :east2) AND {_METRES} <= :reach"""
_NEAR_MESSAGES = f"SELECT n FROM message_place WHERE {_NEAR}"
_NEAR_FILES = f"SELECT n FROM file WHERE lat IS NOT NULL AND {_NEAR}"

# --- windows: the newest candidates, with their scores ---------------------------------------------------------------

#: ``relevance`` is ours, see ``_relevance``. FTS5's own rank counts every row with each of the words, of whomever.
_WORDS = """
SELECT rowid, relevance({table}, :words) FROM {table} WHERE {table} MATCH :match AND rowid <= :upper{near}
ORDER BY rowid DESC LIMIT :limit
"""
MESSAGES = _WORDS.format(table="message_text", near="")
#: The plus keeps SQLite from asking the index for each place anew: the places are gathered once.
MESSAGES_NEAR = _WORDS.format(table="message_text", near=f" AND +rowid IN ({_NEAR_MESSAGES})")
TITLES = _WORDS.format(table="title_text", near="")
FILES = _WORDS.format(table="file_text", near="")
FILES_NEAR = _WORDS.format(table="file_text", near=f" AND +rowid IN ({_NEAR_FILES})")
_PLACES = "SELECT n, -{metres} FROM {table} WHERE {near} AND n <= :upper ORDER BY n DESC LIMIT :limit"
PLACED_MESSAGES = _PLACES.format(metres=_METRES, table="message_place", near=_NEAR)
PLACED_FILES = _PLACES.format(metres=_METRES, table="file", near=f"lat IS NOT NULL AND {_NEAR}")

# --- what is shown ---------------------------------------------------------------------------------------------------

FOUND_MESSAGE = """
SELECT m.body, c.id, c.body ->> '$.title' FROM message m JOIN conversation c ON c.n = m.conversation
WHERE m.n = ? AND m.removed = 0 AND c.trashed = 0 AND c.owner = ?
"""
FOUND_TITLE = "SELECT body FROM conversation WHERE n = ? AND trashed = 0 AND owner = ?"
FOUND_FILE = """
SELECT f.body, substr(b.text, ?3, ?4) FROM file f LEFT JOIN file_body b ON b.n = f.n WHERE f.n = ?1 AND f.owner = ?2
"""

# --- lists of conversations that have the words ----------------------------------------------------------------------

MENTIONING = """
SELECT m.n, m.conversation FROM (
    SELECT rowid AS n FROM message_text WHERE message_text MATCH ? ORDER BY rowid DESC LIMIT ?
) AS newest CROSS JOIN message m ON m.n = newest.n
"""
CONVERSATION_NUMBER = "SELECT n FROM conversation WHERE id = ?"
IS_TITLED = "SELECT 1 FROM title_text WHERE title_text MATCH ? AND rowid = ?"
IS_OLDER = "SELECT 1 FROM message WHERE conversation = ? AND n < ? LIMIT 1"
IS_MENTIONED = "SELECT 1 FROM message_text WHERE message_text MATCH ? LIMIT 1"

# --- places ----------------------------------------------------------------------------------------------------------

PUT_PLACE = "INSERT OR REPLACE INTO message_place SELECT ?1, owner, ?3, ?4 FROM conversation WHERE n = ?2"

# --- vectors ---------------------------------------------------------------------------------------------------------

EMBEDDER = "SELECT name, dimensions, through FROM embedder"
#: The parts of which the statement for what is similar is made; see ``_similar.similar_statement``.
SIGNS = "WITH close AS MATERIALIZED (SELECT n FROM passage_sign WHERE owner = :owner"
SIGNS_FILTERS = {
    "message": " AND kind = 0",
    "file": " AND kind = 1",
    "facts": " AND (kind = 1 OR source IN (SELECT rowid FROM message_text WHERE message_text MATCH :match))",
    "near": f" AND (kind = 0 AND source IN ({_NEAR_MESSAGES}) OR kind = 1 AND source IN ({_NEAR_FILES}))",
}
SIGNS_END = """ ORDER BY vec_distance_hamming(vec_bit(signs), vec_bit(:signs)) LIMIT :look)
SELECT p.kind, p.source, p.start, vec_distance_cosine(vec_int8(p.vector), vec_int8(:vector)) AS distance
FROM close CROSS JOIN passage p ON p.n = close.n ORDER BY distance
"""
MARKED = "SELECT kind, source FROM unembedded LIMIT ?"
MESSAGE_TEXT = "SELECT body FROM message WHERE n = ? AND removed = 0"
FILE_TEXT = "SELECT text FROM file_body WHERE n = ?"
MESSAGES_AFTER = "SELECT n, body FROM message WHERE n > ? ORDER BY n LIMIT ?"
NUMBERS_AFTER = "SELECT n FROM message WHERE n > ? AND n <= ? ORDER BY n"
OWNER_OF_MESSAGE = "SELECT c.owner FROM message m JOIN conversation c ON c.n = m.conversation WHERE m.n = ?"
OWNER_OF_FILE = "SELECT owner FROM file WHERE n = ?"
DROP_PASSAGES = """
DELETE FROM passage_sign WHERE owner = ?3 AND n IN (SELECT n FROM passage WHERE kind = ?1 AND source = ?2)
"""
ADD_PASSAGE = "INSERT INTO passage (kind, source, start, stop, vector) VALUES (?, ?, ?, ?, ?) RETURNING n"
ADD_SIGNS = "INSERT INTO passage_sign VALUES (?, ?, ?, ?, ?)"
MARK = "INSERT OR IGNORE INTO unembedded VALUES (?, ?)"
UNMARK = "DELETE FROM unembedded WHERE kind = ? AND source = ?"
SET_THROUGH = "UPDATE embedder SET through = ?"
SET_EMBEDDER = "INSERT OR REPLACE INTO embedder VALUES (1, ?, ?, 0)"
MARK_FILES = "INSERT OR IGNORE INTO unembedded SELECT 1, n FROM file_body"
FORGET_MARKS = "DELETE FROM unembedded WHERE kind = 0"
FORGET_SOME = "DELETE FROM passage_sign WHERE (owner, n) IN (SELECT owner, n FROM passage_sign LIMIT 1000)"
#: Messages with words that were not looked at yet, and what waits again, of one owner; no further than is said.
PENDING_NEW = "SELECT count(*) FROM (SELECT 1 FROM message_text WHERE message_text MATCH ? AND rowid > ? LIMIT ?)"
PENDING_MARKED = """
SELECT count(*) FROM (
    SELECT 1 FROM unembedded w JOIN message m ON m.n = w.source JOIN conversation c ON c.n = m.conversation
    WHERE w.kind = 0 AND c.owner = ?1
    UNION ALL SELECT 1 FROM unembedded w JOIN file f ON f.n = w.source WHERE w.kind = 1 AND f.owner = ?1 LIMIT ?2
)
"""
