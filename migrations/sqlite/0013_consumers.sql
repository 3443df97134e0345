-- As for PostgreSQL.

CREATE TABLE consumer (
    name         TEXT PRIMARY KEY,
    owner        TEXT NOT NULL,
    filter       TEXT NOT NULL,
    position     BIGINT NOT NULL,
    lease        TEXT,
    lease_to     BIGINT NOT NULL DEFAULT 0,
    lease_until  BIGINT NOT NULL DEFAULT 0,
    lease_events BIGINT NOT NULL DEFAULT 0,
    version      BIGINT NOT NULL DEFAULT 1,
    acked        TEXT,
    batch_at     BIGINT,
    ack_at       BIGINT,
    created_at   BIGINT NOT NULL
);

CREATE TABLE webhook (
    id           TEXT PRIMARY KEY,
    url          TEXT NOT NULL,
    description  TEXT,
    filter       TEXT NOT NULL,
    secret       TEXT NOT NULL,
    secret_old   TEXT,
    old_until    BIGINT NOT NULL DEFAULT 0,
    state        TEXT NOT NULL,
    reason       TEXT,
    position     BIGINT NOT NULL,
    failures     BIGINT NOT NULL DEFAULT 0,
    failing_at   BIGINT,
    last_error   TEXT,
    succeeded_at BIGINT,
    resume_at    BIGINT NOT NULL DEFAULT 0,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

CREATE TABLE webhook_delivery (
    id          TEXT PRIMARY KEY,
    webhook_id  TEXT NOT NULL REFERENCES webhook (id),
    event_id    TEXT NOT NULL,
    type        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    position    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    data        TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_at     BIGINT NOT NULL,
    give_up_at  BIGINT NOT NULL,
    lease_until BIGINT NOT NULL DEFAULT 0,
    lease       TEXT,
    status      BIGINT,
    error       TEXT,
    settled_at  BIGINT,
    created_at  BIGINT NOT NULL
);
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_at) WHERE state = 'pending';
