-- Runs that are live and what is set aside for them. Small for ever: a run that ends leaves it for ``charge``.
CREATE TABLE open_charge (
    owner text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    day date NOT NULL,
    cost bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    body text NOT NULL,
    PRIMARY KEY (owner, run)
) WITH (fillfactor = 50);

-- Runs that have ended, by the account that pays ('' once it is gone).
CREATE TABLE charge (
    owner text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (owner, run)
);

-- The sums of ``charge``, written with it. ``cost`` is in nano-dollars; ``unpriced`` are runs whose cost nobody knows. '*' as
-- the owner is everybody, in several rows that differ in their ``key``: each connection that appends adds to its own, so that
-- two servers do not wait for each other whenever a run ends.
CREATE TABLE usage_day (
    owner text COLLATE "C" NOT NULL,
    day date NOT NULL,
    model text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    estimated bigint NOT NULL,
    unpriced bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write bigint NOT NULL,
    reasoning bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (owner, day, model, key)
) WITH (fillfactor = 50);
CREATE TABLE usage_conversation (
    owner text COLLATE "C" NOT NULL,
    day date NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    estimated bigint NOT NULL,
    unpriced bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write bigint NOT NULL,
    reasoning bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (owner, day, conversation)
) WITH (fillfactor = 80);

-- What users and keys may spend, where somebody has said so: micro-dollars in a month, tokens in a day.
CREATE TABLE budget (
    kind text COLLATE "C" NOT NULL,
    payer text COLLATE "C" NOT NULL,
    month bigint,
    day bigint,
    PRIMARY KEY (kind, payer)
);
