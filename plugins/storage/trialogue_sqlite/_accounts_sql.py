"""All SQL of the facet ``accounts``, by table, under the same test as ``_sql``."""

from __future__ import annotations

# --- accounts --------------------------------------------------------------------------------------------------------

ANY_ACCOUNT = "SELECT EXISTS (SELECT 1 FROM account)"
EMAIL_TAKEN = "SELECT 1 FROM account WHERE email = ? AND id <> ?"
ADD_ACCOUNT = "INSERT INTO account (id, email, secret, body) VALUES (?, ?, ?, ?)"
SET_ACCOUNT = "UPDATE account SET email = ?, body = ? WHERE id = ?"
DROP_ACCOUNT = "DELETE FROM account WHERE id = ?"
ACCOUNT = "SELECT body FROM account WHERE id = ?"
ACCOUNT_BY_EMAIL = "SELECT body FROM account WHERE email = ?"
OTHER_RULER = "SELECT 1 FROM account WHERE role = 'admin' AND disabled = 0 AND id <> ? LIMIT 1"
ACCOUNTS = "SELECT email, body FROM account WHERE email > :after ORDER BY email LIMIT :limit"
#: ``sought`` may stand anywhere in either, so all are looked at, in the order of the page; in a thread, and braked.
SEARCH_ACCOUNTS = """
SELECT email, body FROM account WHERE email > :after
AND (instr(email, :sought) OR instr(lower(body ->> 'name'), :sought)) ORDER BY email LIMIT :limit
"""

# --- secrets ---------------------------------------------------------------------------------------------------------

SECRET = "SELECT body, secret FROM account WHERE email = ?"
RENEW_SECRET = "UPDATE account SET secret = ? WHERE id = ? AND secret = ?"
CHANGE_SECRET = "UPDATE account SET secret = ?, body = ? WHERE id = ?"
PUT_RESET = "INSERT OR REPLACE INTO reset VALUES (?, ?, ?)"
RESET = "SELECT a.body FROM reset r JOIN account a ON a.id = r.account WHERE r.token = ? AND r.expires > ?"
DROP_RESET = "DELETE FROM reset WHERE account = ?"

# --- identities ------------------------------------------------------------------------------------------------------

IDENTITY = "SELECT a.body FROM identity i JOIN account a ON a.id = i.account WHERE i.issuer = ? AND i.subject = ?"
IDENTITY_OWNER = "SELECT account FROM identity WHERE issuer = ? AND subject = ?"
ADD_IDENTITY = "INSERT INTO identity VALUES (?, ?, ?)"
DROP_IDENTITIES = "DELETE FROM identity WHERE account = ?"

# --- sessions --------------------------------------------------------------------------------------------------------

DROP_EXPIRED = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires <= ? ORDER BY expires LIMIT ?)"
PUT_SESSION = "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?)"
SESSION = "SELECT s.body, a.body FROM session s JOIN account a ON a.id = s.account WHERE s.token = ?"
SESSIONS = "SELECT s.body, a.body FROM session s JOIN account a ON a.id = s.account WHERE s.account = ?"
SESSION_BODIES = "SELECT body FROM session WHERE account = ?"
SESSION_BODY = "SELECT body FROM session WHERE id = ?"
SET_SESSION = "UPDATE session SET expires = ?, body = ? WHERE id = ?"
DROP_SESSION = "DELETE FROM session WHERE id = ? RETURNING id"
DROP_SESSIONS = "DELETE FROM session WHERE account = ? AND id <> ? RETURNING id"

# --- keys ------------------------------------------------------------------------------------------------------------

COUNT_KEYS = "SELECT count(*) FROM api_key WHERE account = ?"
ADD_KEY = "INSERT INTO api_key (id, token, account, body) VALUES (?, ?, ?, ?)"
KEY = "SELECT k.body, a.body FROM api_key k JOIN account a ON a.id = k.account WHERE k.token = ?"
KEY_BODY = "SELECT body FROM api_key WHERE id = ?"
KEYS = "SELECT body FROM api_key WHERE account = ? ORDER BY id DESC"
SET_KEY = "UPDATE api_key SET body = ? WHERE id = ?"
DROP_KEY = "DELETE FROM api_key WHERE id = ? RETURNING id"
DROP_KEYS = "DELETE FROM api_key WHERE account = ?"

# --- invitations -----------------------------------------------------------------------------------------------------

ADD_INVITATION = "INSERT INTO invitation VALUES (?, ?, ?)"
INVITATION = "SELECT body FROM invitation WHERE token = ?"
INVITATION_BODY = "SELECT body FROM invitation WHERE id = ?"
INVITATIONS = "SELECT id, body FROM invitation WHERE id < ? ORDER BY id DESC LIMIT ?"
SET_INVITATION = "UPDATE invitation SET body = ? WHERE id = ?"
DROP_INVITATION = "DELETE FROM invitation WHERE id = ?"
#: Ids tell when each was made, which is before it was over.
DROP_OLD_INVITATIONS = """
DELETE FROM invitation WHERE id IN (
    SELECT id FROM invitation WHERE id < ? AND coalesce(body ->> 'used_at', body ->> 'expires_at') < ? LIMIT ?
)
"""

# --- the audit log ---------------------------------------------------------------------------------------------------

ADD_AUDIT = "INSERT INTO audit (at, action, actor, subject, body) VALUES (?, ?, ?, ?, ?)"
#: The parts of which a list's statement is made; see ``_accounts_reads.audit_statement``.
AUDIT_LIST = "SELECT n, body FROM audit WHERE n < :before"
AUDIT_FILTERS = {
    "action": " AND action = :action",
    "actor": " AND actor = :actor",
    "subject": " AND subject = :subject",
    #: With the plus, rows are met in the order of the page, whose end comes soon; the index would have them all sorted.
    "since": " AND +at >= :since",
    "until": " AND +at < :until",
}
AUDIT_END = " ORDER BY n DESC LIMIT :limit"
DROP_AUDIT = "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE at < ? ORDER BY at LIMIT ?)"

# --- what deleted accounts leave -------------------------------------------------------------------------------------

ADD_DELETION = "INSERT OR REPLACE INTO deletion VALUES (?, ?)"
DELETIONS = "SELECT account, at FROM deletion"
DROP_DELETION = "DELETE FROM deletion WHERE account = ?"
#: In two parts, as the indexes are.
OWNED = """
SELECT id FROM conversation WHERE owner = ?1 AND trashed = 0
UNION ALL SELECT id FROM conversation WHERE owner = ?1 AND trashed = 1 LIMIT ?2
"""
