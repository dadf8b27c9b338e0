"""The SQL of the facet for files. What follows from a change (space, mentions, content nobody names) is the schema's."""

from __future__ import annotations

# --- room for uploads ------------------------------------------------------------------------------------------------

#: What somebody else is just removing is left to them.
DROP_EXPIRED_UPLOADS = """
DELETE FROM upload WHERE id = ANY (ARRAY(SELECT id FROM upload WHERE expires <= %(at)s FOR UPDATE SKIP LOCKED))
"""
#: Makes the owner's row, if need be, and locks it either way.
LOCK_SPACE = """
INSERT INTO space VALUES (%(owner)s, 0, 0) ON CONFLICT (owner) DO UPDATE SET files = space.files
"""
#: What an owner has, and what all its uploads but ``id`` have set aside.
TAKEN = """
SELECT coalesce((SELECT used FROM space WHERE owner = %(owner)s), 0),
    coalesce((SELECT sum(size) FROM upload WHERE owner = %(owner)s AND id <> %(id)s AND expires > %(at)s), 0)::bigint
"""
PUT_UPLOAD = """
INSERT INTO upload VALUES (%(id)s, %(owner)s, %(size)s, %(until)s)
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, size = excluded.size, expires = excluded.expires
"""
DROP_UPLOAD = "DELETE FROM upload WHERE id = %(id)s"
SPACE = """
SELECT coalesce((SELECT files FROM space WHERE owner = %(owner)s), 0),
    coalesce((SELECT used FROM space WHERE owner = %(owner)s), 0),
    coalesce((SELECT sum(size) FROM upload WHERE owner = %(owner)s AND expires > %(at)s), 0)::bigint
"""

# --- rows ------------------------------------------------------------------------------------------------------------

ADD_FILES = """
INSERT INTO file (id, owner, size, folded, media_type, created, lat, lon, pending, body)
SELECT * FROM unnest(
    %(ids)b::text[], %(owners)b::text[], %(sizes)b::bigint[], %(folded)b::text[], %(media_types)b::text[],
    %(created)b::timestamptz[], %(lats)b::float8[], %(lons)b::float8[], %(pending)b::boolean[], %(bodies)b::text[]
)
"""
FILE = "SELECT body FROM file WHERE id = %(id)s"
DROP_FILE = "DELETE FROM file WHERE id = %(id)s RETURNING 1"
#: The parts of which a page's statement is made; see ``_files.page_statement``.
PAGE = "SELECT created, id, body FROM file WHERE owner = %(owner)s"
PAGE_FILTERS = {
    "name": " AND strpos(folded, %(name)s) > 0",
    "type": " AND media_type = %(type)s",
    "family": " AND media_type >= %(type)s AND media_type < %(beyond)s",
    "cursor": " AND (created, id) < (%(created)s, %(id)s)",
}
PAGE_END = " ORDER BY created DESC, id DESC LIMIT %(limit)s"
DROP_SOME = """
DELETE FROM file WHERE n = ANY (ARRAY(SELECT n FROM file WHERE owner = %(owner)s LIMIT %(limit)s FOR UPDATE)) RETURNING 1
"""

# --- what is read out of them ----------------------------------------------------------------------------------------

PENDING = "SELECT body FROM file WHERE pending ORDER BY n LIMIT %(limit)s"
SET_FILE = """
UPDATE file SET lat = %(lat)s, lon = %(lon)s, pending = %(pending)s, body = %(body)s WHERE id = %(id)s RETURNING n
"""
PUT_BODY = """
INSERT INTO file_body SELECT n, %(text)s,
    CASE WHEN %(words)s::text <> '' THEN array_to_tsvector(ARRAY['=' || md5(owner)]) || %(words)s::text::tsvector END
FROM file WHERE id = %(id)s
ON CONFLICT (n) DO UPDATE SET text = excluded.text, words = excluded.words
"""
TEXT = "SELECT left(b.text, %(limit)s::integer) FROM file AS f JOIN file_body AS b ON b.n = f.n WHERE f.id = %(id)s"

# --- mentions --------------------------------------------------------------------------------------------------------

#: A message of an owner can name only the owner's files. The lock keeps each from being removed in between.
ADD_MENTIONS = """
INSERT INTO message_file SELECT m.n, f.n
FROM unnest(%(ns)b::bigint[], %(messages)b::text[], %(files)b::text[]) AS x (n, message, file)
JOIN conversation AS c ON c.n = x.n JOIN message AS m ON m.id = x.message AND m.conversation = x.n
JOIN file AS f ON f.id = x.file AND f.owner = c.owner
FOR KEY SHARE OF f ON CONFLICT DO NOTHING
"""
_NAMED = """
FROM message AS m JOIN message_file AS mf ON mf.message = m.n WHERE m.conversation = %(n)s
"""
#: A conversation that goes takes the files with it that only its messages name. Before its messages are removed, and after
#: whoever names them just now is done.
PURGE_FILES = (
    f"SELECT n FROM file WHERE n IN (SELECT mf.file {_NAMED}) ORDER BY n FOR UPDATE",
    f"""
DELETE FROM file WHERE n IN (
    SELECT mf.file {_NAMED} AND NOT EXISTS (
        SELECT 1 FROM message_file AS o JOIN message AS other ON other.n = o.message
        WHERE o.file = mf.file AND other.conversation <> %(n)s
    )
)
""",
    "DELETE FROM message_file WHERE message IN (SELECT n FROM message WHERE conversation = %(n)s)",
)

# --- content ---------------------------------------------------------------------------------------------------------

#: Those that are being removed are not returned.
KEEP_BLOBS = """
INSERT INTO blob (sha256, kept) SELECT sha256, %(until)s FROM unnest(%(digests)b::bytea[]) AS d (sha256) ORDER BY sha256
ON CONFLICT (sha256) DO UPDATE SET kept = greatest(blob.kept, excluded.kept) WHERE NOT blob.doomed RETURNING sha256
"""
LOCK_BLOBS = """
SELECT sha256 FROM blob WHERE sha256 = ANY (%(digests)b::bytea[]) AND NOT doomed ORDER BY sha256 FOR UPDATE
"""
NAME_BLOBS = """
INSERT INTO blob_name SELECT f.n, x.sha256 FROM unnest(%(files)b::text[], %(digests)b::bytea[]) AS x (file, sha256)
JOIN file AS f ON f.id = x.file ON CONFLICT DO NOTHING
"""
DOOM = """
UPDATE blob SET doomed = true WHERE sha256 = ANY (ARRAY(
    SELECT sha256 FROM blob WHERE names = 0 AND kept < %(at)s ORDER BY kept LIMIT %(limit)s FOR UPDATE
)) RETURNING sha256
"""
FORGET_BLOBS = "DELETE FROM blob WHERE sha256 = ANY (%(digests)b::bytea[]) AND doomed"
SET_FOLDER = "INSERT INTO store VALUES ('files', %(fresh)s) ON CONFLICT (key) DO NOTHING"
FOLDER = "SELECT value, EXISTS (SELECT 1 FROM blob) FROM store WHERE key = 'files'"
