-- Runs that are live and what is set aside for them. Small for ever: a run that ends leaves it for ``charge``.
CREATE TABLE open_charge (
    owner TEXT NOT NULL,
    run TEXT NOT NULL,
    conversation TEXT NOT NULL,
    key TEXT NOT NULL,
    day INTEGER NOT NULL,
    cost INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL,
    PRIMARY KEY (owner, run)
) WITHOUT ROWID;

-- Runs that have ended, by the account that pays ('' once it is gone). ``day`` counts from 1970-01-01; ``cost`` is in
-- nano-dollars; ``unpriced`` is 1 where nobody knows it.
CREATE TABLE charge (
    owner TEXT NOT NULL,
    run TEXT NOT NULL,
    conversation TEXT NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    day INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (owner, run)
) WITHOUT ROWID;

-- The sums of ``charge``, kept by its trigger; '*' as the owner is everybody.
CREATE TABLE usage_day (
    owner TEXT NOT NULL,
    day INTEGER NOT NULL,
    model TEXT NOT NULL,
    key TEXT NOT NULL,
    runs INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (owner, day, model, key)
) WITHOUT ROWID;
CREATE TABLE usage_conversation (
    owner TEXT NOT NULL,
    day INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    runs INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (owner, day, conversation)
) WITHOUT ROWID;

CREATE TRIGGER charge_added AFTER INSERT ON charge BEGIN
    INSERT INTO usage_day VALUES
        (new.owner, new.day, new.model, new.key, 1, new.estimated, new.unpriced, new.input, new.output, new.cache_read,
            new.cache_write, new.reasoning, new.cost),
        ('*', new.day, new.model, '', 1, new.estimated, new.unpriced, new.input, new.output, new.cache_read,
            new.cache_write, new.reasoning, new.cost)
    ON CONFLICT DO UPDATE SET runs = runs + 1, estimated = estimated + excluded.estimated,
        unpriced = unpriced + excluded.unpriced, input = input + excluded.input, output = output + excluded.output,
        cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
        reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost;
    INSERT INTO usage_conversation VALUES
        (new.owner, new.day, new.conversation, 1, new.estimated, new.unpriced, new.input, new.output, new.cache_read,
            new.cache_write, new.reasoning, new.cost)
    ON CONFLICT DO UPDATE SET runs = runs + 1, estimated = estimated + excluded.estimated,
        unpriced = unpriced + excluded.unpriced, input = input + excluded.input, output = output + excluded.output,
        cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
        reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost;
END;

-- What users and keys may spend, where somebody has said so: micro-dollars in a month, tokens in a day.
CREATE TABLE budget (
    kind TEXT NOT NULL,
    payer TEXT NOT NULL,
    month INTEGER,
    day INTEGER,
    PRIMARY KEY (kind, payer)
) WITHOUT ROWID;
