"""The SQL of the ledger's calls; see ``_sql``. Sums are read by the key of ``usage_day`` or ``usage_conversation``."""

from __future__ import annotations

# --- charges ---------------------------------------------------------------------------------------------------------

OPEN = "INSERT INTO open_charge (owner, run, conversation, key, day, body) VALUES (?, ?, ?, ?, ?, ?)"
CLOSE = "DELETE FROM open_charge WHERE owner = ? AND run = ?"
SETTLE = "INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
LEFT_OPEN = """
SELECT body FROM open_charge WHERE owner = (SELECT owner FROM conversation WHERE id = ?1) AND conversation = ?1
"""
CHARGE = """
SELECT body FROM charge WHERE owner = ?1 AND run = ?2
UNION ALL SELECT body FROM open_charge WHERE owner = ?1 AND run = ?2
"""
CHARGES = "SELECT run, body FROM charge WHERE owner = ? AND run < ? ORDER BY run DESC LIMIT ?"

# --- sums ------------------------------------------------------------------------------------------------------------

_SUMS = """sum(runs), sum(estimated), sum(unpriced), sum(input), sum(output), sum(cache_read), sum(cache_write),
    sum(reasoning), sum(cost)"""
USAGE_DAY = f"""
SELECT day, {_SUMS} FROM usage_day WHERE owner = ? AND day BETWEEN ? AND ? GROUP BY day ORDER BY day DESC LIMIT ?
"""
USAGE_MODEL = f"""
SELECT model, {_SUMS} FROM usage_day WHERE owner = ? AND day BETWEEN ? AND ? AND model >= ?
GROUP BY model ORDER BY model LIMIT ?
"""
USAGE_KEY = f"""
SELECT key, {_SUMS} FROM usage_day WHERE owner = ? AND day BETWEEN ? AND ? AND key >= ?
GROUP BY key ORDER BY key LIMIT ?
"""
USAGE_CONVERSATION = f"""
SELECT conversation, {_SUMS} FROM usage_conversation WHERE owner = ? AND day BETWEEN ? AND ? AND conversation < ?
GROUP BY conversation ORDER BY conversation DESC LIMIT ?
"""
USAGE_USER = f"""
SELECT owner, {_SUMS} FROM usage_day WHERE owner >= ?3 AND owner <> '*' AND day BETWEEN ?1 AND ?2
GROUP BY owner ORDER BY owner LIMIT ?4
"""
TOTAL = f"SELECT {_SUMS} FROM usage_day WHERE owner = ? AND day BETWEEN ? AND ?"

# --- budgets ---------------------------------------------------------------------------------------------------------

BUDGET = "SELECT month, day FROM budget WHERE kind = ? AND payer = ?"
PUT_BUDGET = "INSERT OR REPLACE INTO budget VALUES (?, ?, ?, ?)"
DROP_BUDGET = "DELETE FROM budget WHERE kind = ? AND payer = ?"
#: ?2 is the day, ?3 and ?4 the first and the last of its month.
SPENT = """
SELECT coalesce(sum(cost), 0), coalesce(sum(input + output) FILTER (WHERE day = ?2), 0)
FROM usage_day WHERE owner = ?1 AND day BETWEEN ?3 AND ?4
"""
SPENT_BY_KEY = SPENT + "AND key = ?5"
HELD = """
SELECT coalesce(sum(cost) FILTER (WHERE day BETWEEN ?3 AND ?4), 0), coalesce(sum(tokens) FILTER (WHERE day = ?2), 0)
FROM open_charge WHERE owner = ?1
"""
HELD_BY_KEY = HELD + "AND key = ?5"
HOLD = "UPDATE open_charge SET cost = ?, tokens = ? WHERE owner = ? AND run = ? RETURNING body"

# --- accounts that are gone ------------------------------------------------------------------------------------------

_ADD_UP = """ON CONFLICT DO UPDATE SET runs = runs + excluded.runs, estimated = estimated + excluded.estimated,
    unpriced = unpriced + excluded.unpriced, input = input + excluded.input, output = output + excluded.output,
    cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
    reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost"""
FORGET = (
    f"""
INSERT INTO usage_day SELECT '', day, model, '', {_SUMS} FROM usage_day WHERE owner = ?1 GROUP BY day, model {_ADD_UP}
""",
    "DELETE FROM usage_day WHERE owner = ?1",
    f"""
INSERT INTO usage_conversation SELECT '', day, '', {_SUMS} FROM usage_conversation WHERE owner = ?1 GROUP BY day {_ADD_UP}
""",
    "DELETE FROM usage_conversation WHERE owner = ?1",
    "DELETE FROM open_charge WHERE owner = ?1",
    "DELETE FROM budget WHERE kind = 'user' AND payer = ?1",
)
FORGET_CHARGES = """
UPDATE charge SET owner = '', conversation = '', key = '',
    body = json_remove(json_set(body, '$.owner', '', '$.conversation', '', '$.message', ''), '$.key')
WHERE owner = ?1 AND run IN (SELECT run FROM charge WHERE owner = ?1 LIMIT ?2) RETURNING 1
"""
