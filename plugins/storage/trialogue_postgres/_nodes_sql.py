"""The SQL of the facet for several nodes. Who is alive is asked anew by each statement, by this server's clock."""

from __future__ import annotations

#: How long nodes that are gone are remembered, and what became of commands that were kept.
_REMEMBERED = "interval '10 minutes'"
_NOW = "clock_timestamp()"
_ALIVE = f"EXISTS (SELECT 1 FROM node AS o WHERE o.id = l.node AND o.lease_until > {_NOW})"

RENEW = f"""
WITH before AS (SELECT lease_until FROM node WHERE id = %(id)s)
INSERT INTO node (id, lease_until, body, load)
VALUES (%(id)s, {_NOW} + make_interval(secs => %(seconds)s), %(body)s, %(load)s)
ON CONFLICT (id) DO UPDATE SET lease_until = {_NOW} + make_interval(secs => %(seconds)s), body = excluded.body,
    load = excluded.load
RETURNING {_NOW}, coalesce((SELECT lease_until < {_NOW} FROM before), true)
"""
LEAVE = "DELETE FROM node WHERE id = %(id)s"
MEMBERS = f"SELECT body, load, extract(epoch FROM lease_until - {_NOW})::float8 FROM node ORDER BY id"
FORGET_NODES = f"DELETE FROM node WHERE lease_until < {_NOW} - {_REMEMBERED}"
FORGET_KEPT = f"DELETE FROM kept_command WHERE outcome IS NOT NULL AND kept_at < now() - {_REMEMBERED}"

#: What waits for the row's lock looks at it anew, and at the nodes as they were: a node taken for dead by mistake is fenced.
CLAIM = f"""
UPDATE log AS l SET node = %(node)s, epoch = epoch + 1 WHERE l.id = %(id)s AND (l.node = %(node)s OR NOT {_ALIVE})
RETURNING 1
"""
CLAIMED = """
SELECT l.node, l.epoch, l.next_seq, l.flush, c.body, s.state, coalesce(s.seq, 0)
FROM log AS l JOIN conversation AS c ON c.n = l.n LEFT JOIN snapshot AS s ON s.conversation = l.n WHERE l.id = %(id)s
"""
RELEASE = """
UPDATE log AS l SET node = '' FROM unnest(%(ids)b::text[], %(epochs)b::bigint[]) AS h (id, epoch)
WHERE l.id = h.id AND l.epoch = h.epoch AND l.node = %(node)s
"""
ABANDONED = f"""
SELECT l.id FROM log AS l WHERE l.unfinished AND NOT {_ALIVE}
UNION SELECT l.id FROM kept_command AS k CROSS JOIN LATERAL (SELECT id, node FROM log WHERE n = k.conversation OFFSET 0) AS l
    WHERE k.outcome IS NULL AND NOT {_ALIVE}
LIMIT %(limit)s
"""
POSITIONS = "SELECT id, node, epoch, next_seq FROM log WHERE id = ANY (%(ids)b::text[])"
FOLLOW = """
SELECT w.place, e.seq, e.epoch, e.type, e.data
FROM unnest(%(places)b::bigint[], %(ids)b::text[], %(starts)b::bigint[]) AS w (place, id, start)
CROSS JOIN LATERAL (SELECT n FROM log WHERE id = w.id OFFSET 0) AS l
CROSS JOIN LATERAL (
    SELECT seq, epoch, type, data FROM entry WHERE conversation = l.n AND seq >= w.start ORDER BY seq LIMIT %(limit)s
) AS e
ORDER BY w.place, e.seq
"""

KEEP = """
INSERT INTO kept_command (conversation, command, body) SELECT n, %(command)s, %(body)s FROM log WHERE id = %(id)s
ON CONFLICT (conversation, command) DO NOTHING
"""
KEPT = """
SELECT l.id, k.command, k.body
FROM kept_command AS k CROSS JOIN LATERAL (SELECT id, node FROM log WHERE n = k.conversation OFFSET 0) AS l
WHERE k.outcome IS NULL AND l.node = %(node)s ORDER BY k.n LIMIT %(limit)s
"""
_ONE = "WHERE conversation = (SELECT n FROM log WHERE id = %(id)s) AND command = %(command)s"
SETTLE = f"UPDATE kept_command SET outcome = %(outcome)s {_ONE}"
OUTCOME = f"SELECT outcome FROM kept_command {_ONE}"
DROP = f"DELETE FROM kept_command {_ONE}"
PURGE_KEPT = "DELETE FROM kept_command WHERE conversation = %(n)s"
