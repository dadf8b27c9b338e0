"""SQL of public links and imports; see ``_sql``."""

from __future__ import annotations

ADD_SHARE = """
INSERT INTO share (id, token, conversation, body)
SELECT ?, ?, n, ? FROM conversation WHERE id = ? AND trashed = 0 ON CONFLICT (id) DO NOTHING
"""
SHARE = """
SELECT s.body FROM share s JOIN conversation c ON c.n = s.conversation WHERE s.id = ? AND c.id = ? AND c.trashed = 0
"""
SHARES = """
SELECT body FROM share WHERE conversation = (SELECT n FROM conversation WHERE id = ?) ORDER BY n
"""
SHARE_BY_TOKEN = """
SELECT s.body FROM share s JOIN conversation c ON c.n = s.conversation WHERE s.token = ? AND c.trashed = 0
"""
DROP_SHARE = "DELETE FROM share WHERE id = ? AND conversation = (SELECT n FROM conversation WHERE id = ?) RETURNING 1"
#: For a conversation that is moved to the trash or removed, in the same transaction.
END_SHARES = "DELETE FROM share WHERE conversation = ?"

PUT_IMPORT = """
INSERT INTO import_job (id, owner, open, body) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body
WHERE body ->> 'state' <> 'cancelled' RETURNING 1
"""
DROP_OLD_IMPORTS = """
DELETE FROM import_job WHERE owner = ?1 AND open = 0 AND n < (
    SELECT n FROM import_job WHERE owner = ?1 AND open = 0 ORDER BY n DESC LIMIT 1 OFFSET 99
)
"""
FORGET_IMPORTS = "DELETE FROM import_job WHERE owner = ?"
IMPORT = "SELECT body FROM import_job WHERE id = ?"
IMPORTS = "SELECT body FROM import_job WHERE owner = ? ORDER BY n DESC LIMIT ?"
OPEN_IMPORTS = "SELECT body FROM import_job WHERE open = 1 ORDER BY n"
