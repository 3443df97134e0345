-- The root key under which personal data is sealed, itself sealed under the operator's master key. No row: nothing is.
CREATE TABLE vault (
    id         TEXT PRIMARY KEY,         -- root
    master     TEXT NOT NULL,            -- the id of the master key that wraps it
    wrapped    TEXT NOT NULL,            -- base64 of nonce, ciphertext and tag
    created_at BIGINT NOT NULL
);
