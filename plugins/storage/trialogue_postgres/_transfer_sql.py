"""SQL that takes all rows out, in an order that any store can keep, and puts in what no call of the store does."""

from __future__ import annotations

# --- out: all of a table, by cursors, hence by no test of plans --------------------------------------------------------

FACTS = "SELECT key, value FROM store"
ACCOUNTS = "SELECT body, secret FROM account ORDER BY id"
SESSIONS = "SELECT body FROM session ORDER BY id"
KEYS = "SELECT body FROM api_key ORDER BY id"
INVITATIONS = "SELECT body FROM invitation ORDER BY id"
RESETS = "SELECT account, token, expires FROM reset ORDER BY account"
IDENTITIES = "SELECT account, issuer, subject FROM identity ORDER BY issuer, subject"
DELETIONS = "SELECT account, at FROM deletion ORDER BY account"
AUDIT = "SELECT body FROM audit ORDER BY n"
CONTENTS = "SELECT sha256, kept FROM blob ORDER BY sha256"
FILES = "SELECT f.body, b.text FROM file AS f LEFT JOIN file_body AS b ON b.n = f.n ORDER BY f.n"
CONVERSATIONS = """
SELECT c.body, l.node, l.epoch, l.next_seq, l.flush, l.floor, l.unfinished, s.state, coalesce(s.seq, 0)
FROM log AS l JOIN conversation AS c ON c.n = l.n LEFT JOIN snapshot AS s ON s.conversation = l.n ORDER BY l.id
"""
ENTRIES = """
SELECT l.id, e.seq, e.epoch, e.type, e.data FROM log AS l JOIN entry AS e ON e.conversation = l.n ORDER BY l.id, e.seq
"""
RECEIPTS = """
SELECT l.id, r.command, r.digest, r.receipt
FROM log AS l JOIN receipt AS r ON r.conversation = l.n ORDER BY l.id, r.command
"""
MESSAGES = """
SELECT m.id, l.id, m.parent, m.removed, m.waiting, m.body FROM message AS m JOIN log AS l ON l.n = m.conversation
ORDER BY m.n
"""
MENTIONS = """
SELECT m.id, f.id FROM message_file AS mf JOIN message AS m ON m.n = mf.message JOIN file AS f ON f.n = mf.file
ORDER BY mf.message, mf.file
"""
SHARES = "SELECT body FROM share ORDER BY n"
IMPORTS = "SELECT body FROM import_job ORDER BY n"
OPEN_CHARGES = "SELECT body, cost, tokens FROM open_charge ORDER BY owner, run"
CHARGES = "SELECT body FROM charge ORDER BY owner, run"
BUDGETS = "SELECT kind, payer, month, day FROM budget ORDER BY kind, payer"

#: One moment for all of them, as long as it takes.
BEGIN = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0
"""
DECLARE = "DECLARE rows NO SCROLL CURSOR FOR {0}"
#: Rows that are in memory at a time; a message may be a megabyte.
FETCH = "FETCH 50 FROM rows"
CLOSE = "CLOSE rows"

# --- in --------------------------------------------------------------------------------------------------------------

PATIENCE = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
#: Nobody writes meanwhile; who reads sees what was there.
USED = """
SELECT EXISTS (SELECT 1 FROM account), EXISTS (SELECT 1 FROM log), EXISTS (SELECT 1 FROM node WHERE lease_until > now())
"""
NUMBERS = (
    "SELECT l.id, l.n, c.owner FROM log AS l JOIN conversation AS c ON c.n = l.n WHERE l.id = ANY (%(ids)b::text[])"
)
ADD_LOGS = """
INSERT INTO log (id, node, epoch, next_seq, flush, floor, unfinished)
SELECT * FROM unnest(
    %(ids)b::text[], %(nodes)b::text[], %(epochs)b::bigint[], %(seqs)b::bigint[], %(flushes)b::bigint[],
    %(floors)b::bigint[], %(unfinished)b::boolean[]
) RETURNING id, n
"""
ADD_CONTENT = "INSERT INTO blob (sha256, kept) VALUES (%(digest)s, %(kept)s)"
ADD_STONE = """
INSERT INTO message (id, conversation, parent, removed, waiting, body)
VALUES (%(id)s, %(n)s, %(parent)s, true, %(waits)s, '')
"""
ADD_MENTION = """
INSERT INTO message_file SELECT m.n, f.n FROM message AS m, file AS f WHERE m.id = %(message)s AND f.id = %(file)s
ON CONFLICT DO NOTHING
"""
ADD_SHARE = """
INSERT INTO share (id, token, conversation, body) SELECT %(id)s, %(token)s, n, %(body)s FROM log WHERE id = %(conversation)s
"""
SET_HELD = "UPDATE open_charge SET cost = %(cost)s, tokens = %(tokens)s WHERE owner = %(owner)s AND run = %(run)s"
