"""SQL of public links and imports; see ``_sql``."""

from __future__ import annotations

# --- public links ----------------------------------------------------------------------------------------------------

#: The lock keeps the conversation from being moved to the trash in between: whoever does that ends all its links after it.
ADD_SHARE = """
INSERT INTO share (id, token, conversation, body)
SELECT %(id)s, %(token)s, n, %(body)s FROM conversation WHERE id = %(conversation)s AND NOT trashed FOR SHARE
ON CONFLICT (id) DO NOTHING
"""
SHARE = """
SELECT s.body FROM share AS s JOIN conversation AS c ON c.n = s.conversation
WHERE s.id = %(id)s AND c.id = %(conversation)s AND NOT c.trashed
"""
SHARES = """
SELECT body FROM share WHERE conversation = (SELECT n FROM conversation WHERE id = %(conversation)s) ORDER BY n
"""
SHARE_BY_TOKEN = """
SELECT s.body FROM share AS s JOIN conversation AS c ON c.n = s.conversation WHERE s.token = %(token)s AND NOT c.trashed
"""
DROP_SHARE = """
DELETE FROM share WHERE id = %(id)s AND conversation = (SELECT n FROM conversation WHERE id = %(conversation)s) RETURNING 1
"""
#: For conversations that are moved to the trash, in the same transaction.
END_SHARES = "DELETE FROM share WHERE conversation = ANY (%(ns)b::bigint[])"

# --- imports ---------------------------------------------------------------------------------------------------------

PUT_IMPORT = """
INSERT INTO import_job (id, owner, open, cancelled, body)
VALUES (%(id)s, %(owner)s, %(open)s, %(cancelled)s, %(body)s)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, cancelled = excluded.cancelled, body = excluded.body
WHERE NOT import_job.cancelled RETURNING 1
"""
DROP_OLD_IMPORTS = """
DELETE FROM import_job WHERE owner = %(owner)s AND NOT open AND n < (
    SELECT n FROM import_job WHERE owner = %(owner)s AND NOT open ORDER BY n DESC LIMIT 1 OFFSET 99
)
"""
FORGET_IMPORTS = "DELETE FROM import_job WHERE owner = %(owner)s"
IMPORT = "SELECT body FROM import_job WHERE id = %(id)s"
IMPORTS = "SELECT body FROM import_job WHERE owner = %(owner)s ORDER BY n DESC LIMIT %(limit)s"
OPEN_IMPORTS = "SELECT body FROM import_job WHERE open ORDER BY n"
