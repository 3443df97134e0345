-- Where applications stand in the feed that cannot keep a cursor themselves, and those that are told of its events by HTTP.

CREATE TABLE consumer (
    name         TEXT PRIMARY KEY,
    owner        TEXT NOT NULL,          -- who may use it, as history names them: key:…, oauth:…, agent:…
    filter       TEXT NOT NULL,          -- JSON
    position     BIGINT NOT NULL,        -- everything up to here was acknowledged, or left out by the filter
    lease        TEXT,                   -- the token of the batch that is out
    lease_to     BIGINT NOT NULL DEFAULT 0, -- its acknowledgement moves the position here
    lease_until  BIGINT NOT NULL DEFAULT 0,
    lease_events BIGINT NOT NULL DEFAULT 0,
    version      BIGINT NOT NULL DEFAULT 1, -- rises when it is changed or wound back
    acked        TEXT,                   -- the token that was acknowledged last, so that it may be said twice
    batch_at     BIGINT,
    ack_at       BIGINT,
    created_at   BIGINT NOT NULL
);

CREATE TABLE webhook (
    id           TEXT PRIMARY KEY,
    url          TEXT NOT NULL,          -- sealed where personal data is: it may hold a token
    description  TEXT,
    filter       TEXT NOT NULL,          -- JSON
    secret       TEXT NOT NULL,          -- whsk_… (Ed25519) or whsec_… (HMAC), sealed where personal data is
    secret_old   TEXT,                   -- signs beside it until then
    old_until    BIGINT NOT NULL DEFAULT 0,
    state        TEXT NOT NULL,          -- active, disabled
    reason       TEXT,                   -- why it is disabled
    position     BIGINT NOT NULL,        -- every event up to here has a delivery, or is left out by the filter
    failures     BIGINT NOT NULL DEFAULT 0, -- rounds of attempts in a row of which all failed
    failing_at   BIGINT,                 -- since when
    last_error   TEXT,
    succeeded_at BIGINT,
    resume_at    BIGINT NOT NULL DEFAULT 0, -- nothing is sent before: Retry-After
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

CREATE TABLE webhook_delivery (
    id          TEXT PRIMARY KEY,
    webhook_id  TEXT NOT NULL REFERENCES webhook (id),
    event_id    TEXT NOT NULL,           -- as in the feed; a test has one of its own
    type        TEXT NOT NULL,           -- without the prefix fr.voxea.
    subject     TEXT NOT NULL,
    position    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    data        TEXT NOT NULL,           -- JSON, thin
    state       TEXT NOT NULL,           -- pending, delivered, failed
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_at     BIGINT NOT NULL,         -- of what is pending: not before
    give_up_at  BIGINT NOT NULL,
    lease_until BIGINT NOT NULL DEFAULT 0, -- an attempt is under way until then, unless who made it died
    lease       TEXT,
    status      BIGINT,                  -- what was answered last
    error       TEXT,                    -- what went wrong last
    settled_at  BIGINT,
    created_at  BIGINT NOT NULL
);
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_at) WHERE state = 'pending';
