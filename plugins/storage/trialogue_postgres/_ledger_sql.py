"""The SQL of the ledger's calls; see ``_sql``. Sums are read by the key of ``usage_day`` or ``usage_conversation``."""

from __future__ import annotations

from trialogue_postgres._schema import LOCK

_FIGURES = "runs, estimated, unpriced, input, output, cache_read, cache_write, reasoning, cost"
_SUMS = ", ".join(f"sum({name})::bigint" for name in _FIGURES.split(", "))


def _add_up(table: str) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _FIGURES.split(", "))


# --- charges ---------------------------------------------------------------------------------------------------------

OPEN_CHARGES = """
INSERT INTO open_charge (owner, run, conversation, key, day, body)
SELECT * FROM unnest(
    %(owners)b::text[], %(runs)b::text[], %(conversations)b::text[], %(keys)b::text[], %(days)b::date[], %(bodies)b::text[]
)
"""
#: Settled ones, with their sums: everybody's are split up, as the schema says. Rows of sums are changed in the order of
#: their keys, so that servers which add to the same ones wait for each other, but not in a circle.
SETTLE = f"""
WITH c AS (
    SELECT *, 1 AS runs FROM unnest(
        %(owners)b::text[], %(names)b::text[], %(conversations)b::text[], %(keys)b::text[], %(models)b::text[],
        %(days)b::date[], %(estimated)b::bigint[], %(unpriced)b::bigint[], %(inputs)b::bigint[], %(outputs)b::bigint[],
        %(cache_reads)b::bigint[], %(cache_writes)b::bigint[], %(reasonings)b::bigint[], %(costs)b::bigint[],
        %(bodies)b::text[]
    ) AS c (owner, run, conversation, key, model, day, estimated, unpriced, input, output, cache_read, cache_write,
        reasoning, cost, body)
), closed AS (
    DELETE FROM open_charge AS o USING c WHERE o.owner = c.owner AND o.run = c.run
), settled AS (
    INSERT INTO charge SELECT owner, run, body FROM c
), by_day AS (
    INSERT INTO usage_day SELECT owner, day, model, key, {_SUMS} FROM (
        SELECT owner, day, model, key, {_FIGURES} FROM c
        UNION ALL SELECT '*', day, model, mod(pg_backend_pid(), 16)::text, {_FIGURES} FROM c
    ) AS every GROUP BY owner, day, model, key ORDER BY owner, day, model, key
    ON CONFLICT (owner, day, model, key) DO UPDATE SET {_add_up("usage_day")}
)
INSERT INTO usage_conversation SELECT owner, day, conversation, {_SUMS} FROM c
GROUP BY owner, day, conversation ORDER BY owner, day, conversation
ON CONFLICT (owner, day, conversation) DO UPDATE SET {_add_up("usage_conversation")}
"""
LEFT_OPEN = """
SELECT body FROM open_charge WHERE owner = (SELECT owner FROM conversation WHERE id = %(id)s) AND conversation = %(id)s
FOR UPDATE
"""
CHARGE = """
SELECT body FROM charge WHERE owner = %(owner)s AND run = %(run)s
UNION ALL SELECT body FROM open_charge WHERE owner = %(owner)s AND run = %(run)s
"""
CHARGES = """
SELECT run, body FROM charge WHERE owner = %(owner)s AND run < %(below)s ORDER BY run DESC LIMIT %(limit)s
"""

# --- sums ------------------------------------------------------------------------------------------------------------

_DAYS = "day BETWEEN %(first)s AND %(last)s"
USAGE_DAY = f"""
SELECT day::text, {_SUMS} FROM usage_day WHERE owner = %(owner)s AND {_DAYS} GROUP BY day ORDER BY day DESC LIMIT %(limit)s
"""
#: ``after`` itself comes too on the first page, when it is ''.
_AFTER = "{0} >= %(after)s AND ({0} <> %(after)s OR %(begins)s)"
_USAGE = f"""
SELECT {{0}}, {_SUMS} FROM usage_day WHERE {{1}} AND {_DAYS} AND {_AFTER} GROUP BY {{0}} ORDER BY {{0}} LIMIT %(limit)s
"""
USAGE_MODEL = _USAGE.format("model", "owner = %(owner)s")
USAGE_KEY = _USAGE.format("key", "owner = %(owner)s")
USAGE_USER = _USAGE.format("owner", "owner <> '*'")
USAGE_CONVERSATION = f"""
SELECT conversation, {_SUMS} FROM usage_conversation WHERE owner = %(owner)s AND {_DAYS} AND conversation < %(after)s
GROUP BY conversation ORDER BY conversation DESC LIMIT %(limit)s
"""
TOTAL = f"SELECT {_SUMS} FROM usage_day WHERE owner = %(owner)s AND {_DAYS}"

# --- budgets ---------------------------------------------------------------------------------------------------------

BUDGET = "SELECT month, day FROM budget WHERE kind = %(kind)s AND payer = %(payer)s"
PUT_BUDGET = """
INSERT INTO budget VALUES (%(kind)s, %(payer)s, %(month)s, %(day)s)
ON CONFLICT (kind, payer) DO UPDATE SET month = excluded.month, day = excluded.day
"""
DROP_BUDGET = "DELETE FROM budget WHERE kind = %(kind)s AND payer = %(payer)s"
#: Both as of one moment: a run that is settled meanwhile is in one of them, never in none. ``run`` is left out.
_STANDING = """
SELECT coalesce(sum(u.cost), 0)::bigint, h.cost,
    coalesce(sum(u.input + u.output) FILTER (WHERE u.day = %(day)s), 0)::bigint, h.tokens
FROM (
    SELECT coalesce(sum(cost) FILTER (WHERE day BETWEEN %(first)s AND %(last)s), 0)::bigint,
        coalesce(sum(tokens) FILTER (WHERE day = %(day)s), 0)::bigint
    FROM open_charge WHERE owner = %(owner)s AND run <> %(run)s{0}
) AS h (cost, tokens) LEFT JOIN (
    SELECT day, cost, input, output FROM usage_day WHERE owner = %(owner)s AND day BETWEEN %(first)s AND %(last)s{0}
) AS u ON true GROUP BY h.cost, h.tokens
"""
STANDING = _STANDING.format("")
STANDING_BY_KEY = _STANDING.format(" AND key = %(key)s")
#: Who sets something aside for an owner does it one after the other.
ONE_AT_A_TIME = f"SELECT pg_advisory_xact_lock({LOCK + 2}, hashtext(current_schema() || ' ' || %(owner)s::text))"
HELD = "SELECT body FROM open_charge WHERE owner = %(owner)s AND run = %(run)s"
HOLD = """
UPDATE open_charge SET cost = %(cost)s, tokens = %(tokens)s WHERE owner = %(owner)s AND run = %(run)s RETURNING 1
"""

# --- accounts that are gone ------------------------------------------------------------------------------------------

#: What is added meanwhile is not lost: the rows that are summed up are those that are removed.
FORGET = (
    f"""
WITH gone AS (DELETE FROM usage_day WHERE owner = %(owner)s RETURNING *)
INSERT INTO usage_day SELECT '', day, model, '', {_SUMS} FROM gone GROUP BY day, model ORDER BY day, model
ON CONFLICT (owner, day, model, key) DO UPDATE SET {_add_up("usage_day")}
""",
    f"""
WITH gone AS (DELETE FROM usage_conversation WHERE owner = %(owner)s RETURNING *)
INSERT INTO usage_conversation SELECT '', day, '', {_SUMS} FROM gone GROUP BY day ORDER BY day
ON CONFLICT (owner, day, conversation) DO UPDATE SET {_add_up("usage_conversation")}
""",
    "DELETE FROM open_charge WHERE owner = %(owner)s",
    "DELETE FROM budget WHERE kind = 'user' AND payer = %(owner)s",
)
SOME_CHARGES = "SELECT run, body FROM charge WHERE owner = %(owner)s LIMIT %(limit)s FOR UPDATE"
FORGET_CHARGES = """
UPDATE charge SET owner = '', body = f.body FROM unnest(%(runs)b::text[], %(bodies)b::text[]) AS f (run, body)
WHERE charge.owner = %(owner)s AND charge.run = f.run
"""
