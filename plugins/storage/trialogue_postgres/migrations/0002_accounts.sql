-- ``body`` is the whole value as JSON; the other columns repeat what is looked for. ``name`` is in lower case.
CREATE TABLE account (
    id text COLLATE "C" PRIMARY KEY,
    email text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    secret text NOT NULL,
    rules boolean NOT NULL,
    body text NOT NULL
);
-- Administrators who are not disabled are few; that one is left is asked with each change of an account.
CREATE INDEX account_rules ON account (id) WHERE rules;

CREATE TABLE session (
    id text COLLATE "C" PRIMARY KEY,
    token bytea NOT NULL UNIQUE,
    account text COLLATE "C" NOT NULL,
    expires timestamptz NOT NULL,
    body text NOT NULL
);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE api_key (
    id text COLLATE "C" PRIMARY KEY,
    token bytea NOT NULL UNIQUE,
    account text COLLATE "C" NOT NULL,
    body text NOT NULL
);
CREATE INDEX api_key_account ON api_key (account, id);

CREATE TABLE invitation (
    id text COLLATE "C" PRIMARY KEY,
    token bytea NOT NULL UNIQUE,
    body text NOT NULL
);

-- One for each account at a time.
CREATE TABLE reset (
    account text COLLATE "C" PRIMARY KEY,
    token bytea NOT NULL UNIQUE,
    expires timestamptz NOT NULL
);

CREATE TABLE identity (
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identity_account ON identity (account);

-- ``n`` is the order of writing. Nothing changes a row; the oldest go when their time is over.
CREATE TABLE audit (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    action text COLLATE "C" NOT NULL,
    actor text COLLATE "C",
    subject text COLLATE "C",
    body text NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_action ON audit (action, n);
CREATE INDEX audit_actor ON audit (actor, n);
CREATE INDEX audit_subject ON audit (subject, n);
CREATE FUNCTION audit_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is not changed';
END
$$;
CREATE TRIGGER audit_stands BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stands();

-- Accounts that are gone, whose belongings are not yet.
CREATE TABLE deletion (
    account text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL
);
