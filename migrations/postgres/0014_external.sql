-- By what other systems know a request: one id in each, and each id for one request.
CREATE TABLE external_reference (
    id           TEXT PRIMARY KEY,
    request_id   TEXT NOT NULL REFERENCES request (id),
    system       TEXT NOT NULL,          -- a code that the town gives the other system
    external_id  TEXT NOT NULL,          -- sealed where personal data is
    external_key TEXT NOT NULL,          -- the same as it is compared, or its blind index
    status       TEXT,                   -- the other system's own word; sealed
    updated_at   BIGINT NOT NULL,
    UNIQUE (system, external_key),
    UNIQUE (request_id, system)
);
