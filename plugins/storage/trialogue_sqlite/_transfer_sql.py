"""SQL that takes all rows out, in an order that any store can keep, and puts in what no call of the store does."""

from __future__ import annotations

# --- out: all of a table, hence by no test of plans ------------------------------------------------------------------

ACCOUNTS = "SELECT body, secret FROM account ORDER BY id"
SESSIONS = "SELECT body FROM session ORDER BY id"
KEYS = "SELECT body FROM api_key ORDER BY id"
INVITATIONS = "SELECT body FROM invitation ORDER BY id"
RESETS = "SELECT account, token, expires FROM reset ORDER BY account"
IDENTITIES = "SELECT account, issuer, subject FROM identity ORDER BY issuer, subject"
DELETIONS = "SELECT account, at FROM deletion ORDER BY account"
AUDIT = "SELECT body FROM audit ORDER BY n"
CONTENTS = "SELECT sha256, kept FROM blob ORDER BY sha256"
FILES = "SELECT f.body, b.text FROM file f LEFT JOIN file_body b ON b.n = f.n ORDER BY f.n"
CONVERSATIONS = """
SELECT c.body, l.node, l.epoch, l.next_seq, l.flush, l.floor, l.unfinished, s.state, coalesce(s.seq, 0)
FROM log l JOIN conversation c ON c.n = l.n LEFT JOIN snapshot s ON s.conversation = l.n ORDER BY l.id
"""
ENTRIES = """
SELECT l.id, e.seq, e.epoch, e.type, CAST(e.data AS BLOB)
FROM log l CROSS JOIN entry e ON e.conversation = l.n ORDER BY l.id, e.seq
"""
RECEIPTS = """
SELECT l.id, r.command, r.digest, r.receipt
FROM log l CROSS JOIN receipt r ON r.conversation = l.n ORDER BY l.id, r.command
"""
MESSAGES = """
SELECT m.id, l.id, m.parent, m.removed, m.body FROM message m CROSS JOIN log l ON l.n = m.conversation ORDER BY m.n
"""
MENTIONS = """
SELECT m.id, f.id FROM message_file mf CROSS JOIN message m ON m.n = mf.message CROSS JOIN file f ON f.n = mf.file
ORDER BY mf.message, mf.file
"""
SHARES = "SELECT body FROM share ORDER BY n"
IMPORTS = "SELECT body FROM import_job ORDER BY n"
OPEN_CHARGES = "SELECT body, cost, tokens FROM open_charge ORDER BY owner, run"
CHARGES = "SELECT body FROM charge ORDER BY owner, run"
BUDGETS = "SELECT kind, payer, month, day FROM budget ORDER BY kind, payer"

# --- in --------------------------------------------------------------------------------------------------------------

ADD_LOG = """
INSERT INTO log (id, node, epoch, next_seq, flush, floor, unfinished) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING n
"""
ADD_DELETION = "INSERT INTO deletion VALUES (?, ?)"
ADD_CONTENT = "INSERT INTO blob VALUES (?, 1, ?, 0)"
ADD_REMOVED = "INSERT INTO message (id, conversation, parent, removed, body) VALUES (?, ?, ?, ?, '')"
ADD_MENTION = """
INSERT OR IGNORE INTO message_file SELECT m.n, f.n FROM message m CROSS JOIN file f WHERE m.id = ? AND f.id = ?
"""
SET_HELD = "UPDATE open_charge SET cost = ?, tokens = ? WHERE owner = ? AND run = ?"
ADD_SHARE = "INSERT INTO share (id, token, conversation, body) SELECT ?, ?, n, ? FROM log WHERE id = ?"
