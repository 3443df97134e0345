-- Where a request goes on that was merged: answers to its mails are followed there. NULL for one that was merged before this was
-- kept, and meaningless in any other state.
ALTER TABLE request ADD COLUMN merged_into TEXT;

-- Requests that belong together without being one: what came after the time in which a request is reopened, and what names the
-- reference of a request without proof.
CREATE TABLE request_link (
    request_id TEXT NOT NULL REFERENCES request (id),
    other_id   TEXT NOT NULL REFERENCES request (id),  -- the earlier one
    kind       TEXT NOT NULL,            -- continues, mentions
    at         BIGINT NOT NULL,
    PRIMARY KEY (request_id, other_id)
);
CREATE INDEX request_link_back ON request_link (other_id);

-- Who wrote to a request beside the one who opened it, by their match key: its reference is as good as theirs.
CREATE TABLE participant (
    request_id TEXT NOT NULL REFERENCES request (id),
    match_key  TEXT NOT NULL,
    PRIMARY KEY (request_id, match_key)
);

-- What the daemon made for itself and must not lose: the key under which reply tokens are signed.
CREATE TABLE secret (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,            -- hexadecimal, sealed where personal data is
    created_at BIGINT NOT NULL
);

-- Addresses that mail does not reach, until a mail comes from them.
CREATE TABLE undeliverable (
    id        TEXT PRIMARY KEY,
    match_key TEXT NOT NULL UNIQUE,
    reason    TEXT NOT NULL,             -- the words of the server that refused
    at        BIGINT NOT NULL
);
