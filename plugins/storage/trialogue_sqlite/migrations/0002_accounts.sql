-- Columns that are computed from the body cannot differ from it.
ALTER TABLE account ADD COLUMN role TEXT AS (body ->> 'role');
ALTER TABLE account ADD COLUMN disabled INTEGER AS (coalesce(body ->> 'disabled', 0));
-- Administrators are few; that one is left is asked with each change of an account.
CREATE INDEX account_rules ON account (id) WHERE role = 'admin' AND disabled = 0;

CREATE INDEX session_account ON session (account);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    account TEXT NOT NULL,
    body TEXT NOT NULL,
    budget INTEGER AS (body ->> 'budget')
) WITHOUT ROWID;
CREATE INDEX api_key_account ON api_key (account, id);

CREATE TABLE invitation (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    body TEXT NOT NULL
) WITHOUT ROWID;

-- One for each account at a time.
CREATE TABLE reset (
    account TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identity_account ON identity (account);

-- ``n`` is the order of writing. Nothing changes a row; the oldest go when their time is over.
CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT,
    subject TEXT,
    body TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_action ON audit (action, n);
CREATE INDEX audit_actor ON audit (actor, n);
CREATE INDEX audit_subject ON audit (subject, n);
CREATE TRIGGER audit_stands BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is not changed');
END;

-- Accounts that are gone, whose belongings are not yet.
CREATE TABLE deletion (
    account TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;
