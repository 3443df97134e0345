-- Who may log in: roles, agents, their sessions; programs known by an identity provider; failed logins.

CREATE TABLE role (
    code    TEXT PRIMARY KEY,
    label   TEXT NOT NULL,
    grants  TEXT NOT NULL,               -- JSON: a list of grants
    version BIGINT NOT NULL
);

INSERT INTO role (code, label, grants, version) VALUES
    ('administrator', 'Administrator', '[{"operations":["admin"],"confidentiality":"secret"}]', 1),
    ('agent', 'Agent', '[{"operations":["read","reply","intake"],"confidentiality":"normal"}]', 1),
    ('reader', 'Reader', '[{"operations":["read"],"confidentiality":"normal"}]', 1);

CREATE TABLE agent (
    id           TEXT PRIMARY KEY,
    login        TEXT NOT NULL UNIQUE,   -- lower case
    name         TEXT NOT NULL,
    email        TEXT,
    password     TEXT,                   -- PHC string of argon2id
    totp         TEXT,                   -- the shared secret, hexadecimal
    totp_in_use  BIGINT NOT NULL DEFAULT 0, -- 1 once a first code has confirmed it
    totp_step    BIGINT NOT NULL DEFAULT 0, -- the last one whose code was accepted; no code serves twice
    roles        TEXT NOT NULL,          -- JSON: a list of codes
    oidc_issuer  TEXT,
    oidc_subject TEXT,
    enabled      BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX agent_by_subject ON agent (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL;

CREATE TABLE session (
    id           TEXT PRIMARY KEY,       -- the token's public part
    hash         TEXT NOT NULL,          -- SHA-256 of its secret, hexadecimal
    agent_id     TEXT NOT NULL REFERENCES agent (id),
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT
);
CREATE INDEX session_of_agent ON session (agent_id) WHERE ended_at IS NULL;
CREATE INDEX session_by_end ON session (expires_at);

-- Tries of a login that did not succeed, whether there is such an agent or not.
CREATE TABLE login_attempt (
    key      TEXT PRIMARY KEY,           -- SHA-256 of what was tried
    failed   BIGINT NOT NULL,
    retry_at BIGINT NOT NULL             -- the next try counts from then on
);
CREATE INDEX login_attempt_by_time ON login_attempt (retry_at);

-- Programs that an identity provider answers for.
CREATE TABLE oauth_client (
    id         TEXT PRIMARY KEY,
    issuer     TEXT NOT NULL,            -- the name in the configuration
    subject    TEXT NOT NULL,            -- `sub` or `client_id` of the token
    name       TEXT NOT NULL,
    contract   TEXT NOT NULL,            -- JSON, as of an API key
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX oauth_client_in_force ON oauth_client (issuer, subject) WHERE revoked_at IS NULL;

-- Logins that were sent to the identity provider and are not back.
CREATE TABLE oidc_login (
    id         TEXT PRIMARY KEY,         -- SHA-256 of the browser's cookie
    state      TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    verifier   TEXT NOT NULL,            -- of PKCE
    expires_at BIGINT NOT NULL
);
CREATE INDEX oidc_login_by_end ON oidc_login (expires_at);
