"""All SQL of the facet ``accounts``, by table, under the same test as ``_sql``."""

from __future__ import annotations

from trialogue_postgres._schema import LOCK

# --- accounts --------------------------------------------------------------------------------------------------------

#: Who makes accounts, or takes rights away, does it one after the other: there is one first, and one last administrator.
ONE_AT_A_TIME = f"SELECT pg_advisory_xact_lock({LOCK + 1}, hashtext(current_schema()))"
ANY_ACCOUNT = "SELECT EXISTS (SELECT 1 FROM account)"
EMAIL_TAKEN = "SELECT 1 FROM account WHERE email = %(email)s AND id <> %(id)s"
ADD_ACCOUNT = """
INSERT INTO account (id, email, name, secret, rules, body)
VALUES (%(id)s, %(email)s, %(name)s, %(secret)s, %(rules)s, %(body)s)
"""
SET_ACCOUNT = (
    "UPDATE account SET email = %(email)s, name = %(name)s, rules = %(rules)s, body = %(body)s WHERE id = %(id)s"
)
DROP_ACCOUNT = "DELETE FROM account WHERE id = %(id)s"
ACCOUNT = "SELECT body FROM account WHERE id = %(id)s"
LOCK_ACCOUNT = "SELECT body FROM account WHERE id = %(id)s FOR UPDATE"
ACCOUNT_BY_EMAIL = "SELECT body FROM account WHERE email = %(email)s"
OTHER_RULER = "SELECT 1 FROM account WHERE rules AND id <> %(id)s LIMIT 1"
ACCOUNTS = "SELECT email, body FROM account WHERE email > %(after)s ORDER BY email LIMIT %(limit)s"
#: ``sought`` may stand anywhere in either, so all are looked at, in the order of the page.
SEARCH_ACCOUNTS = """
SELECT email, body FROM account WHERE email > %(after)s
AND (strpos(email, %(sought)s) > 0 OR strpos(name, %(sought)s) > 0) ORDER BY email LIMIT %(limit)s
"""

# --- secrets ---------------------------------------------------------------------------------------------------------

SECRET = "SELECT body, secret FROM account WHERE email = %(email)s"
RENEW_SECRET = "UPDATE account SET secret = %(new)s WHERE id = %(id)s AND secret = %(old)s"
CHANGE_SECRET = "UPDATE account SET secret = %(secret)s, body = %(body)s WHERE id = %(id)s"
PUT_RESET = """
INSERT INTO reset VALUES (%(id)s, %(token)s, %(expires)s)
ON CONFLICT (account) DO UPDATE SET token = excluded.token, expires = excluded.expires
"""
RESET = """
SELECT a.body FROM reset AS r JOIN account AS a ON a.id = r.account WHERE r.token = %(token)s AND r.expires > %(now)s
"""
#: Taken away by whoever uses it, so that a second one finds none.
TAKE_RESET = "DELETE FROM reset WHERE token = %(token)s AND expires > %(now)s RETURNING account"
DROP_RESET = "DELETE FROM reset WHERE account = %(id)s"

# --- identities ------------------------------------------------------------------------------------------------------

IDENTITY = """
SELECT a.body FROM identity AS i JOIN account AS a ON a.id = i.account
WHERE i.issuer = %(issuer)s AND i.subject = %(subject)s
"""
IDENTITY_OWNER = "SELECT account FROM identity WHERE issuer = %(issuer)s AND subject = %(subject)s"
ADD_IDENTITY = "INSERT INTO identity VALUES (%(issuer)s, %(subject)s, %(id)s) ON CONFLICT DO NOTHING RETURNING account"
DROP_IDENTITIES = "DELETE FROM identity WHERE account = %(id)s"

# --- sessions --------------------------------------------------------------------------------------------------------

#: Some at a time, and none that somebody else is dropping.
DROP_EXPIRED = """
DELETE FROM session WHERE id = ANY (ARRAY(
    SELECT id FROM session WHERE expires <= %(now)s ORDER BY expires LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)) RETURNING id
"""
PUT_SESSION = """
INSERT INTO session VALUES (%(id)s, %(token)s, %(account)s, %(expires)s, %(body)s)
ON CONFLICT (id) DO UPDATE SET token = excluded.token, account = excluded.account, expires = excluded.expires,
    body = excluded.body
"""
SESSION = "SELECT s.body, a.body FROM session AS s JOIN account AS a ON a.id = s.account WHERE s.token = %(token)s"
SESSIONS = "SELECT s.body, a.body FROM session AS s JOIN account AS a ON a.id = s.account WHERE s.account = %(id)s"
SESSION_BODIES = "SELECT body FROM session WHERE account = %(id)s"
LOCK_SESSION = "SELECT body FROM session WHERE id = %(id)s FOR UPDATE"
SET_SESSION = "UPDATE session SET expires = %(expires)s, body = %(body)s WHERE id = %(id)s"
DROP_SESSION = "DELETE FROM session WHERE id = %(id)s RETURNING id"
DROP_SOME_SESSIONS = "DELETE FROM session WHERE id = ANY (%(ids)b::text[])"
DROP_SESSIONS = "DELETE FROM session WHERE account = %(id)s AND id <> %(keep)s RETURNING id"

# --- keys ------------------------------------------------------------------------------------------------------------

COUNT_KEYS = "SELECT count(*) FROM api_key WHERE account = %(id)s"
ADD_KEY = "INSERT INTO api_key (id, token, account, body) VALUES (%(id)s, %(token)s, %(account)s, %(body)s)"
KEY = "SELECT k.body, a.body FROM api_key AS k JOIN account AS a ON a.id = k.account WHERE k.token = %(token)s"
KEY_BODY = "SELECT body FROM api_key WHERE id = %(id)s"
LOCK_KEY = "SELECT body FROM api_key WHERE id = %(id)s FOR UPDATE"
KEYS = "SELECT body FROM api_key WHERE account = %(id)s ORDER BY id DESC"
SET_KEY = "UPDATE api_key SET body = %(body)s WHERE id = %(id)s"
DROP_KEY = "DELETE FROM api_key WHERE id = %(id)s RETURNING id"
DROP_KEYS = "DELETE FROM api_key WHERE account = %(id)s"

# --- invitations -----------------------------------------------------------------------------------------------------

ADD_INVITATION = "INSERT INTO invitation VALUES (%(id)s, %(token)s, %(body)s)"
INVITATION = "SELECT body FROM invitation WHERE token = %(token)s"
LOCK_INVITATION = "SELECT body FROM invitation WHERE id = %(id)s FOR UPDATE"
INVITATIONS = "SELECT id, body FROM invitation WHERE id < %(before)s ORDER BY id DESC LIMIT %(limit)s"
SET_INVITATION = "UPDATE invitation SET body = %(body)s WHERE id = %(id)s"
DROP_INVITATION = "DELETE FROM invitation WHERE id = %(id)s"
#: Ids tell when each was made, which is before it was over.
DROP_OLD_INVITATIONS = """
DELETE FROM invitation WHERE id = ANY (ARRAY(
    SELECT id FROM invitation WHERE id < %(made)s
    AND coalesce(body::jsonb ->> 'used_at', body::jsonb ->> 'expires_at')::timestamptz < %(before)s
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)) RETURNING id
"""

# --- the audit log ---------------------------------------------------------------------------------------------------

ADD_AUDIT = """
INSERT INTO audit (at, action, actor, subject, body) SELECT at, action, actor, subject, body FROM unnest(
    %(ats)b::timestamptz[], %(actions)b::text[], %(actors)b::text[], %(subjects)b::text[], %(bodies)b::text[]
) WITH ORDINALITY AS a (at, action, actor, subject, body, place) ORDER BY place
"""
#: The parts of which a list's statement is made; see ``_accounts.audit_statement``.
AUDIT_LIST = "SELECT n, body FROM audit WHERE n < %(before)s"
AUDIT_FILTERS = {
    "action": " AND action = %(action)s",
    "actor": " AND actor = %(actor)s",
    "subject": " AND subject = %(subject)s",
    "since": " AND at >= %(since)s",
    "until": " AND at < %(until)s",
}
AUDIT_END = " ORDER BY n DESC LIMIT %(limit)s"
DROP_AUDIT = """
DELETE FROM audit WHERE n = ANY (ARRAY(
    SELECT n FROM audit WHERE at < %(before)s ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)) RETURNING n
"""

# --- what deleted accounts leave -------------------------------------------------------------------------------------

ADD_DELETION = "INSERT INTO deletion VALUES (%(id)s, %(at)s) ON CONFLICT (account) DO UPDATE SET at = excluded.at"
DELETIONS = "SELECT account, at FROM deletion ORDER BY at, account"
DROP_DELETION = "DELETE FROM deletion WHERE account = %(id)s"
#: In two parts, as the indexes are.
OWNED = """
SELECT id FROM conversation WHERE owner = %(id)s AND NOT trashed
UNION ALL SELECT id FROM conversation WHERE owner = %(id)s AND trashed LIMIT %(limit)s
"""
