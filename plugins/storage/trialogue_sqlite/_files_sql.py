"""The SQL of the facet for files. What follows from a change (space, mentions, content nobody names) is the schema's."""

from __future__ import annotations

# --- room for uploads ------------------------------------------------------------------------------------------------

DROP_EXPIRED_UPLOADS = "DELETE FROM upload WHERE expires <= ?"
#: What an owner has, and what all uploads but ?2 have set aside.
TAKEN = """
SELECT coalesce((SELECT used FROM space WHERE owner = ?1), 0),
    coalesce((SELECT sum(size) FROM upload WHERE owner = ?1 AND id <> ?2), 0)
"""
PUT_UPLOAD = "INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?)"
DROP_UPLOAD = "DELETE FROM upload WHERE id = ?"
SPACE = """
SELECT coalesce((SELECT files FROM space WHERE owner = ?1), 0), coalesce((SELECT used FROM space WHERE owner = ?1), 0),
    coalesce((SELECT sum(size) FROM upload WHERE owner = ?1 AND expires > ?2), 0)
"""

# --- rows ------------------------------------------------------------------------------------------------------------

ADD_FILE = """
INSERT INTO file (id, owner, sha256, size, name, folded, media_type, created, lat, lon, taken, state, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n
"""
FILE = "SELECT body FROM file WHERE id = ?"
DROP_FILE = "DELETE FROM file WHERE id = ? RETURNING n"
#: The parts of which a page's statement is made; see ``_files.page_statement``.
PAGE = "SELECT created, id, body FROM file WHERE owner = :owner"
PAGE_FILTERS = {
    "name": " AND instr(folded, :name)",
    "type": " AND media_type = :type",
    "family": " AND media_type >= :type AND media_type < :beyond",
    "cursor": " AND (created, id) < (:created, :id)",
}
PAGE_END = " ORDER BY created DESC, id DESC LIMIT :limit"
OWNED = "SELECT n FROM file WHERE owner = ? LIMIT ?"
DROP_BY_NUMBER = "DELETE FROM file WHERE n = ?"

# --- what is read out of them ----------------------------------------------------------------------------------------

PENDING = "SELECT body FROM file WHERE state = 'pending' ORDER BY n LIMIT ?"
SET_FILE = "UPDATE file SET lat = ?, lon = ?, taken = ?, state = ?, body = ? WHERE id = ? RETURNING n, owner"
DROP_WORDS = "DELETE FROM file_text WHERE rowid = ?"
ADD_WORDS = "INSERT INTO file_text (rowid, owner, text) VALUES (?, ?, ?)"
PUT_BODY = "INSERT OR REPLACE INTO file_body VALUES (?, ?)"
TEXT = "SELECT substr(b.text, 1, ?2) FROM file f JOIN file_body b ON b.n = f.n WHERE f.id = ?1"

# --- mentions --------------------------------------------------------------------------------------------------------

#: A message of an owner can name only the owner's files.
ADD_MENTION = """
INSERT OR IGNORE INTO message_file
SELECT ?1, f.n FROM file f JOIN conversation c ON c.n = ?2 WHERE f.id = ?3 AND f.owner = c.owner
"""
#: A conversation that goes takes the files with it that only its messages name. Before its messages are removed.
PURGE_FILES = (
    """
DELETE FROM file WHERE n IN (
    SELECT mf.file FROM message m CROSS JOIN message_file mf ON mf.message = m.n WHERE m.conversation = ?1
    AND NOT EXISTS (
        SELECT 1 FROM message_file o CROSS JOIN message other ON other.n = o.message
        WHERE o.file = mf.file AND other.conversation <> ?1
    )
)
""",
    "DELETE FROM message_file WHERE message IN (SELECT n FROM message WHERE conversation = ?)",
)

# --- content ---------------------------------------------------------------------------------------------------------

KEEP_BLOB = "INSERT INTO blob VALUES (?1, 1, ?2, 0) ON CONFLICT DO UPDATE SET kept = max(kept, ?2) WHERE doomed = 0"
IS_DOOMED = "SELECT doomed FROM blob WHERE sha256 = ?"
NAME_BLOB = "INSERT OR IGNORE INTO blob_name VALUES (?, ?)"
LOOSE = "SELECT sha256 FROM blob WHERE loose = 1 AND kept < ? LIMIT ?"
DOOM = "UPDATE blob SET doomed = 1 WHERE sha256 = ?"
FORGET_BLOB = "DELETE FROM blob WHERE sha256 = ? AND doomed = 1"
ANY_BLOB = "SELECT EXISTS (SELECT 1 FROM blob)"
FOLDER = "SELECT value FROM store WHERE key = 'files'"
SET_FOLDER = "INSERT INTO store VALUES ('files', ?)"
