"""The SQL of the facet for searches; see ``_sql``. ``_windows`` and ``_similar`` put statements together of its parts."""

from __future__ import annotations

from trialogue_postgres._schema import LOCK

# --- places ----------------------------------------------------------------------------------------------------------

#: Metres from a place to the middle of the circle.
METRES = """(12742017.6 * asin(least(1.0, sqrt(power(sin(radians(%(lat)s::float8 - {0}.lat) / 2), 2)
    + cos(radians({0}.lat)) * cos(radians(%(lat)s::float8)) * power(sin(radians(%(lon)s::float8 - {0}.lon) / 2), 2)))))"""
#: Within a circle, without and with PostGIS. The box is what the index finds; a circle around a pole or across the
#: antimeridian has two intervals. Both let through what is a metre too far, which is then looked at once more.
NEAR_BOX = f"""{{0}}.lat BETWEEN %(south)s::float8 AND %(north)s::float8
    AND ({{0}}.lon BETWEEN %(west)s::float8 AND %(east)s::float8
        OR {{0}}.lon BETWEEN %(west2)s::float8 AND %(east2)s::float8)
    AND {METRES} <= %(reach)s::float8"""
NEAR_GEOGRAPHY = f"""{{0}}.lat IS NOT NULL AND ST_DWithin(geography(ST_SetSRID(ST_MakePoint({{0}}.lon, {{0}}.lat), 4326)),
    geography(ST_SetSRID(ST_MakePoint(%(lon)s::float8, %(lat)s::float8), 4326)), %(reach)s::float8 * 1.000001, false)
    AND {METRES} <= %(reach)s::float8"""

# --- windows: the newest candidates, with their scores ---------------------------------------------------------------

_WORDS = "words @@ %(match)s::text::tsquery"
#: How well a row matches, from that row alone: how often it says what is looked for, less and less so, and in how few words.
_RANK = "ts_rank({0}.words, %(text)s::text::tsquery, 16)::float8"
WINDOW_MESSAGES = """
SELECT m.n, {score} AS score FROM message AS m WHERE m.owner = %(owner)s AND NOT m.removed AND {match} AND m.n <= %(upper0)s
"""
WINDOW_TITLES = f"SELECT c.n, {{score}} AS score FROM conversation AS c WHERE c.title_{_WORDS} AND c.n <= %(upper1)s"
WINDOW_FILES = """
SELECT f.n, {score} AS score FROM file AS f LEFT JOIN file_body AS b ON b.n = f.n
WHERE f.owner = %(owner)s AND {match} AND f.n <= %(upper2)s
"""
#: What each kind is matched and ranked by, with words.
MATCH = {"message": f"m.{_WORDS}", "file": f"b.{_WORDS}"}
RANK = {
    "message": _RANK.format("m"),
    "title": "ts_rank(c.title_words, %(text)s::text::tsquery, 16)::float8",
    "file": _RANK.format("b"),
}
ALIAS = {"message": "m", "title": "c", "file": "f"}
FILTERS = {
    "message": {
        "conversation": " AND m.conversation = (SELECT n FROM conversation WHERE id = %(conversation)s)",
        "role": " AND m.role = %(role)s",
        "model": " AND m.model = %(model)s",
        "since": " AND m.created >= %(since)s",
        "until": " AND m.created < %(until)s",
    },
    "title": {"conversation": " AND c.id = %(conversation)s"},
    "file": {"since": " AND f.created >= %(since)s", "until": " AND f.created < %(until)s"},
}
WINDOW_END = " ORDER BY {0}.n DESC LIMIT %(window)s + 1"

#: The best of some windows, of which each is ``(place, name)``: their rows, and the newest row below each that is full.
BELOW = "(SELECT min(n) FROM {0} HAVING count(*) > %(window)s)"
RANKED = "SELECT {1} AS place, n, score FROM {0} WHERE n > coalesce({2}, 0)"
BEST = """
SELECT below.*, k.place, k.n, k.score, coalesce(m.body, f.body, c.body), c.id, CASE k.place WHEN 0 THEN c.body END, b.text
FROM (SELECT {below}) AS below LEFT JOIN (
    SELECT place, n, score FROM ({ranked}) AS every
    WHERE %(begins)s::boolean OR score < %(score)s::float8
        OR score = %(score)s::float8 AND (place > %(place)s OR place = %(place)s AND n < %(n)s)
    ORDER BY score DESC, place, n DESC LIMIT %(take)s
) AS k ON true
LEFT JOIN message AS m ON k.place = 0 AND m.n = k.n AND NOT m.removed
LEFT JOIN conversation AS c ON c.n = CASE k.place WHEN 0 THEN m.conversation WHEN 1 THEN k.n END
    AND NOT c.trashed AND c.owner = %(owner)s
LEFT JOIN file AS f ON k.place = 2 AND f.n = k.n
LEFT JOIN LATERAL (SELECT left(text, %(seen)s::integer) AS text FROM file_body WHERE k.place = 2 AND n = k.n) AS b ON true
ORDER BY k.score DESC, k.place, k.n DESC
"""

# --- vectors ---------------------------------------------------------------------------------------------------------

#: The parts of which the statement for what is similar is made.
SIMILAR = """
SELECT k.kind, k.source, k.start, 1 - k.distance, coalesce(m.body, f.body), c.id, c.body, b.text FROM (
    SELECT p.kind, p.source, p.start, p.vector <=> %(vector)s::text::halfvec AS distance FROM passage AS p
    WHERE p.owner = %(owner)s AND EXISTS (SELECT 1 FROM embedder WHERE dimensions = %(dimensions)s)"""
SIMILAR_FILTERS = {
    "message": " AND p.kind = 0",
    "file": " AND p.kind = 1",
    # Asked of each passage: PostgreSQL would else gather all messages that pass, of everyone.
    "facts": " AND (p.kind = 1 OR (SELECT true FROM message AS m WHERE m.n = p.source{0}))",
    "near": " AND CASE p.kind WHEN 0 THEN (SELECT true FROM message AS m WHERE m.n = p.source AND {0})"
    " ELSE (SELECT true FROM file AS f WHERE f.n = p.source AND {1}) END",
}
SIMILAR_END = """
    ORDER BY distance LIMIT %(look)s
) AS k
LEFT JOIN message AS m ON k.kind = 0 AND m.n = k.source AND NOT m.removed
LEFT JOIN conversation AS c ON c.n = m.conversation AND NOT c.trashed AND c.owner = %(owner)s
LEFT JOIN file AS f ON k.kind = 1 AND f.n = k.source
LEFT JOIN LATERAL (
    SELECT substr(text, k.start + 1, %(seen)s::integer) AS text FROM file_body WHERE k.kind = 1 AND n = k.source
) AS b ON true
ORDER BY k.distance
"""
EMBEDDER = "SELECT name, dimensions FROM embedder"
#: Whoever begins with another embedder does it in short steps, of which each finds out whether another server is done.
ONE_AT_A_TIME = f"SELECT pg_advisory_xact_lock({LOCK + 3}, hashtext(current_schema()))"
#: Whoever keeps vectors, and whoever changes whose they are, wait for each other: two that made the same keep them once.
LOCK_EMBEDDER = "SELECT name, dimensions FROM embedder FOR UPDATE"
SET_EMBEDDER = """
INSERT INTO embedder (name, dimensions) VALUES (%(name)s, %(dimensions)s)
ON CONFLICT (one) DO UPDATE SET name = excluded.name, dimensions = excluded.dimensions
"""
FORGET_SOME = "DELETE FROM passage WHERE n = ANY (ARRAY(SELECT n FROM passage ORDER BY n LIMIT %(limit)s)) RETURNING 1"
MARK_MESSAGES = """
WITH step AS MATERIALIZED (
    SELECT n, owner, words IS NOT NULL AS says FROM message WHERE n > %(after)s ORDER BY n LIMIT %(limit)s
), marked AS (
    INSERT INTO unembedded (kind, source, owner) SELECT 0, n, owner FROM step WHERE says ON CONFLICT DO NOTHING
)
SELECT max(n) FROM step
"""
MARK_FILES = """
WITH step AS MATERIALIZED (
    SELECT b.n, (SELECT owner FROM file AS f WHERE f.n = b.n) AS owner, b.words IS NOT NULL AS says FROM file_body AS b
    WHERE b.n > %(after)s ORDER BY b.n LIMIT %(limit)s
), marked AS (
    INSERT INTO unembedded (kind, source, owner) SELECT 1, n, owner FROM step WHERE says ON CONFLICT DO NOTHING
)
SELECT max(n) FROM step
"""
_SAID = """
CASE u.kind WHEN 0 THEN (SELECT body FROM message WHERE n = u.source) END,
CASE u.kind WHEN 1 THEN (SELECT text FROM file_body WHERE n = u.source) END
"""
WAITING = f"""
SELECT u.kind, u.source, {_SAID} FROM unembedded AS u WHERE EXISTS (SELECT 1 FROM embedder WHERE name <> '')
ORDER BY u.kind, u.source LIMIT %(limit)s
"""
MARKED = f"""
SELECT u.kind, u.source, u.stamp, u.owner, {_SAID}
FROM unnest(%(kinds)b::bigint[], %(sources)b::bigint[]) AS x (kind, source)
JOIN unembedded AS u ON u.kind = x.kind AND u.source = x.source
"""
DROP_PASSAGES = """
DELETE FROM passage USING unnest(%(kinds)b::bigint[], %(sources)b::bigint[]) AS x (kind, source)
WHERE passage.kind = x.kind AND passage.source = x.source
"""
ADD_PASSAGES = """
INSERT INTO passage (owner, kind, source, start, vector)
SELECT owner, kind, source, start, vector::halfvec FROM unnest(
    %(owners)b::text[], %(kinds)b::bigint[], %(sources)b::bigint[], %(starts)b::bigint[], %(vectors)b::text[]
) AS x (owner, kind, source, start, vector)
"""
UNMARK = """
DELETE FROM unembedded AS u USING unnest(%(kinds)b::bigint[], %(sources)b::bigint[], %(stamps)b::bigint[])
    AS x (kind, source, stamp)
WHERE u.kind = x.kind AND u.source = x.source AND u.stamp = x.stamp
"""
PENDING_OF = "SELECT count(*) FROM (SELECT 1 FROM unembedded WHERE owner = %(owner)s LIMIT %(limit)s) AS few"
