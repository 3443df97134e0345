-- As for PostgreSQL; where a key is the row's own order it is SQLite's rowid, and small keyed tables have none, so that a row
-- costs as few pages as it can.
--
-- Times are milliseconds since the epoch, UTC. Ids are UUIDv7 as text. Positions come from the counter 'feed', whose row
-- stays locked until the commit, so that they rise in commit order.

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO counter (name, value) VALUES ('feed', 0);

-- One row a channel account; a write for an account carries the epoch it believes in.
CREATE TABLE account (
    key   TEXT PRIMARY KEY,              -- kind/name
    epoch BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE request (
    id                TEXT NOT NULL UNIQUE,
    position          INTEGER PRIMARY KEY,
    ref               TEXT NOT NULL UNIQUE,
    channel           TEXT NOT NULL,
    account           TEXT,              -- the account it came in by, kind/name
    status            TEXT NOT NULL,
    subject           TEXT,
    from_address      TEXT NOT NULL,
    from_name         TEXT,
    theme             TEXT,
    assignee          TEXT,
    received_at       BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL,
    last_contact_at   BIGINT NOT NULL,   -- the citizen's latest contact; the 24 h rule of texts reads it
    last_keyword      BIGINT NOT NULL DEFAULT 0,  -- 1 when that contact carried a keyword
    from_key          TEXT,              -- the sender as contact points are matched, or its blind index; NULL for nobody's
    citizen_id        TEXT,              -- whose it is, when that is known
    citizen_by_hand   BIGINT NOT NULL DEFAULT 0   -- 1 once a person said whose it is, or that nobody's: no rule changes it
);
CREATE INDEX request_by_channel ON request (channel, position);
CREATE INDEX request_by_status ON request (status, position);
-- Both the request that a contact of an account may join, and all requests of one sender.
CREATE INDEX request_by_sender ON request (from_key, account, last_contact_at);
-- Those that wait for an answer of their sender.
CREATE INDEX request_asking ON request (from_key, account) WHERE status = 'awaiting_citizen';
CREATE INDEX request_by_citizen ON request (citizen_id, position) WHERE citizen_id IS NOT NULL;

CREATE TABLE interaction (
    id            TEXT NOT NULL UNIQUE,
    position      INTEGER PRIMARY KEY,
    channel       TEXT NOT NULL,
    account       TEXT,
    direction     TEXT NOT NULL,         -- in, out
    native_id     TEXT,
    from_address  TEXT NOT NULL,
    from_name     TEXT,
    to_address    TEXT NOT NULL,
    subject       TEXT,
    text          TEXT,
    text_stripped TEXT,
    occurred_at   BIGINT NOT NULL,
    received_at   BIGINT NOT NULL,
    flags         TEXT NOT NULL,         -- JSON array of texts
    deliveries    BIGINT NOT NULL,
    raw_sha256    TEXT,
    reply_id      TEXT
);

CREATE TABLE request_interaction (
    request_id     TEXT NOT NULL REFERENCES request (id),
    interaction_id TEXT NOT NULL REFERENCES interaction (id),
    position       BIGINT NOT NULL,
    PRIMARY KEY (request_id, interaction_id)
) WITHOUT ROWID;
CREATE INDEX request_interaction_back ON request_interaction (interaction_id);

-- The artefact as it came: small ones here, larger ones as files of the blob store (body NULL).
CREATE TABLE raw (
    interaction_id TEXT PRIMARY KEY REFERENCES interaction (id),
    media_type     TEXT NOT NULL,
    sha256         TEXT,                 -- of a file, which is found by it; the interaction has it in any case
    size           BIGINT NOT NULL,
    body           BLOB
) WITHOUT ROWID;

CREATE TABLE attachment (
    id             TEXT PRIMARY KEY,
    interaction_id TEXT NOT NULL REFERENCES interaction (id),
    ordinal        BIGINT NOT NULL,
    name           TEXT NOT NULL,
    media_type     TEXT NOT NULL,
    size           BIGINT NOT NULL,
    sha256         TEXT NOT NULL
);
CREATE INDEX attachment_by_interaction ON attachment (interaction_id, ordinal);

CREATE TABLE call_detail (
    interaction_id TEXT PRIMARY KEY REFERENCES interaction (id),
    dialled        TEXT NOT NULL,
    diverted_from  TEXT NOT NULL,        -- JSON array of texts, first diversion first
    signalling     TEXT,                 -- JSON object: what the header fields said
    answered_at    BIGINT,
    ended_at       BIGINT,
    ended_by       TEXT,                 -- caller, silence, …
    ended_reason   TEXT,                 -- Reason of the BYE or CANCEL: protocol and cause
    quality        TEXT                  -- JSON object: packets, jitter, round trip, estimated MOS
);

CREATE TABLE recording (
    id             TEXT PRIMARY KEY,
    interaction_id TEXT NOT NULL REFERENCES interaction (id),
    state          TEXT NOT NULL,        -- recording, sealing, sealed, partial, failed, purged
    path           TEXT NOT NULL,        -- below the blob folder
    codec          TEXT NOT NULL,        -- pcma, pcmu, g722
    rate           BIGINT NOT NULL,      -- octets a second of each channel; of g722 each is two samples
    samples        BIGINT NOT NULL,
    reason         TEXT,                 -- why failed or partial; of a sealed one, who stopped it
    started_at     BIGINT,
    sealed_at      BIGINT,
    keep_days      BIGINT NOT NULL DEFAULT 90,  -- kept so long after its request is closed
    keep_until     BIGINT,               -- when it may be erased; NULL while its request is open
    hold_reason    TEXT,                 -- it is not erased while there is one
    held_at        BIGINT,
    held_by        TEXT,
    erased_at      BIGINT,               -- when its file was taken away
    data_key       TEXT,                 -- its file is encrypted under this, sealed; taken out when it is erased
    discarded_by   TEXT,                 -- who wanted nothing of it kept, while it was being made
    to_sign        BIGINT NOT NULL DEFAULT 0  -- 1 while it has no manifest, as the disk took none when it was closed
);
CREATE INDEX recording_by_interaction ON recording (interaction_id);
CREATE INDEX recording_by_state ON recording (state);
CREATE INDEX recording_by_end ON recording (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX recording_to_sign ON recording (id) WHERE to_sign = 1;
CREATE INDEX recording_discarded ON recording (id) WHERE discarded_by IS NOT NULL AND erased_at IS NULL;

-- Stretches of a recording that were not to be recorded: the file has silence there.
CREATE TABLE recording_pause (
    recording_id   TEXT NOT NULL REFERENCES recording (id),
    number         BIGINT NOT NULL,      -- in their order, from 0
    first_sample   BIGINT NOT NULL,
    samples        BIGINT,               -- NULL while it lasts, and when nobody knows
    paused_by      TEXT,
    resumed_by     TEXT,                 -- NULL too when the end of the recording ended it
    PRIMARY KEY (recording_id, number)
);

-- Files that are in object storage: each was read back and found to be what was sent, before the local copy went. What has no
-- row is in the blob folder.
CREATE TABLE object (
    path        TEXT PRIMARY KEY,        -- below the blob folder, and below the bucket's prefix
    place       TEXT NOT NULL,           -- s3://bucket/prefix
    size        BIGINT NOT NULL,         -- octets as they lie there
    sha256      TEXT NOT NULL,           -- of these
    verified_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX object_by_place ON object (place);

-- What was taken in already. The key is the channel's own: uid of a mail, Call-ID of a call, hash of a mail.
CREATE TABLE dedup (
    account        TEXT NOT NULL,
    key            TEXT NOT NULL,
    interaction_id TEXT,
    at             BIGINT NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;

-- Deliveries of texts, for the redelivery rule: same fingerprint, and no response known to have left. In the order of
-- their coming, so that the mark of a response changes a page that is being written anyway; only the key is scattered.
CREATE TABLE delivery (
    account        TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    ordinal        BIGINT NOT NULL,
    interaction_id TEXT,                 -- NULL for a part whose text is not whole yet
    link           TEXT NOT NULL,
    delivered_at   BIGINT NOT NULL,
    flushed_at     BIGINT,
    PRIMARY KEY (account, fingerprint, ordinal)
);
CREATE INDEX delivery_by_age ON delivery (delivered_at);

CREATE TABLE link (
    id       TEXT PRIMARY KEY,
    account  TEXT NOT NULL,
    ended_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX link_by_age ON link (ended_at);

CREATE TABLE part (
    account        TEXT NOT NULL,
    whole          TEXT NOT NULL,        -- source, destination, reference and total, hashed
    generation     BIGINT NOT NULL,      -- references are reused: 0, 1, …
    number         BIGINT NOT NULL,      -- from 1
    total          BIGINT NOT NULL,
    detail         TEXT NOT NULL,        -- JSON: its share of the text, and what it knows of the contact
    raw            BLOB NOT NULL,
    received_at    BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,      -- then what came is delivered
    interaction_id TEXT,                 -- once whole, or given up
    PRIMARY KEY (account, whole, generation, number)
);
CREATE INDEX part_waiting ON part (expires_at) WHERE interaction_id IS NULL;
CREATE INDEX part_by_age ON part (received_at);

-- Message-IDs that we know, ours and theirs, so that an answer finds its request. One that was only named, by a mail
-- that answers it, leads its own citizen back and nobody else: many may answer one newsletter.
CREATE TABLE message_id (
    message_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at         BIGINT NOT NULL,
    named      BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (message_id, request_id)
) WITHOUT ROWID;

CREATE TABLE mailbox (
    account     TEXT NOT NULL,
    folder      TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    cursor      BIGINT NOT NULL,         -- every UID up to here is settled
    imported    BIGINT NOT NULL,         -- 1 once the first connection's import is over
    began_at    BIGINT NOT NULL,         -- the first connection; what "new" means is counted from here
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (account, folder)
);

-- Attempts, noted before parsing: 1, 2 after an end of the process, more when it ended while parsing that mail alone.
CREATE TABLE mailbox_attempt (
    account     TEXT NOT NULL,
    folder      TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uid         BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    PRIMARY KEY (account, folder, uidvalidity, uid)
);

CREATE TABLE reply (
    id             TEXT PRIMARY KEY,
    position       BIGINT NOT NULL,
    request_id     TEXT NOT NULL REFERENCES request (id),
    interaction_id TEXT NOT NULL REFERENCES interaction (id),
    kind           TEXT NOT NULL,        -- reply, acknowledgement
    channel        TEXT NOT NULL,
    account        TEXT NOT NULL,
    recipient      TEXT NOT NULL,
    recipient_key  TEXT NOT NULL,        -- the address in lower case, or its blind index
    subject        TEXT,
    text           TEXT NOT NULL,
    message_id     TEXT,                 -- mail: fixed here, the same on every try
    in_reply_to    TEXT,
    mail_references TEXT,                -- separated by spaces
    state          TEXT NOT NULL,        -- queued, submitted, delivered, rejected, unknown, cancelled
    reason         TEXT,
    native_id      TEXT,                 -- the peer's id of the message
    native_key     TEXT,                 -- the same without leading zeros, in lower case
    created_at     BIGINT NOT NULL,
    submitted_at   BIGINT,
    settled_at     BIGINT,
    due_at         BIGINT NOT NULL,
    lease_until    BIGINT NOT NULL DEFAULT 0,
    holder         TEXT,                 -- which connection of its account leased it last
    attempts       BIGINT NOT NULL DEFAULT 0,
    -- Of texts.
    send_at        BIGINT NOT NULL DEFAULT 0,  -- not before; 0: at once
    expires_at     BIGINT,                     -- after this it is not sent any more; NULL: two days after created_at
    priority       BIGINT NOT NULL DEFAULT 0,  -- 0 to 3
    segments       BIGINT NOT NULL DEFAULT 1,  -- of more than one, reply_part has a row each
    joined         TEXT,                       -- of more than one, how they are held together: udh8, udh16, sar
    receipts       BIGINT NOT NULL DEFAULT 1,  -- so many segments must be said to have arrived
    cancel_at      BIGINT,                     -- when the peer is to be asked to forget it; NULL: it is not
    query_at       BIGINT,                     -- when the peer is to be asked what became of it; NULL: it is not, 0: it was
    replaces       TEXT,                       -- the reply whose place it takes
    instead_of     TEXT                        -- the text that the peer has and is asked to replace by it; NULL: it is sent like any other
);
CREATE INDEX reply_due ON reply (account, position) WHERE state = 'queued';
CREATE INDEX reply_in_order ON reply (account, recipient_key, position) WHERE state = 'queued';
CREATE INDEX reply_submitted ON reply (account, expires_at) WHERE state = 'submitted' AND settled_at IS NULL;
CREATE INDEX reply_by_request ON reply (request_id);
CREATE INDEX reply_by_native_key ON reply (account, native_key);
CREATE INDEX reply_by_message_id ON reply (message_id);
CREATE INDEX reply_cancel ON reply (account, cancel_at) WHERE cancel_at IS NOT NULL;
CREATE INDEX reply_query ON reply (account, query_at) WHERE query_at > 0;
CREATE INDEX reply_instead ON reply (instead_of) WHERE instead_of IS NOT NULL;
-- One text at a time may take another's place at the peer.
CREATE UNIQUE INDEX reply_rival ON reply (instead_of) WHERE instead_of IS NOT NULL AND state IN ('queued', 'unknown');
-- A receipt whose id is not known may be theirs.
CREATE INDEX reply_unknown ON reply (account, recipient_key) WHERE state = 'unknown';

-- The segments of a text that goes out as several. A reply of one segment has no row: its own says it all.
CREATE TABLE reply_part (
    reply_id       TEXT NOT NULL REFERENCES reply (id),
    number         BIGINT NOT NULL,      -- from 1
    account        TEXT NOT NULL,
    state          TEXT NOT NULL,        -- queued, submitted, delivered, rejected, unknown
    native_id      TEXT,
    native_key     TEXT,
    submitted_at   BIGINT,
    PRIMARY KEY (reply_id, number)
) WITHOUT ROWID;
CREATE INDEX reply_part_by_native_key ON reply_part (account, native_key);

-- Receipts that came before the response that tells their id.
CREATE TABLE receipt_parked (
    account    TEXT NOT NULL,
    native_key TEXT NOT NULL,            -- one row for every way of writing the id
    receipt    TEXT NOT NULL,            -- the receipt that these ways belong to
    native_id  TEXT,                     -- the id as it was written first, in the row of its key; NULL in the others
    sender_key TEXT,                     -- the number that it comes from, as reply.recipient_key; NULL: it tells none
    state      TEXT NOT NULL,
    reason     TEXT,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account, native_key, receipt)
);
-- A text that becomes unknown may be theirs.
CREATE INDEX receipt_parked_by_sender ON receipt_parked (account, sender_key) WHERE native_id IS NOT NULL;

-- How many acknowledgements and answers to commands went out lately: per account, per sender of one, and per command and sender.
CREATE TABLE breaker (
    account      TEXT NOT NULL,
    scope        TEXT NOT NULL,          -- empty for the account, else a hash of the sender
    window_start BIGINT NOT NULL,
    used         BIGINT NOT NULL,
    PRIMARY KEY (account, scope)
) WITHOUT ROWID;

CREATE TABLE history (
    id         TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    detail     TEXT NOT NULL,             -- JSON: what changed, from what to what
    PRIMARY KEY (request_id, id)
) WITHOUT ROWID;

CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,              -- without the prefix fr.voxea.
    subject  TEXT NOT NULL,
    at       BIGINT NOT NULL,
    data     TEXT NOT NULL               -- JSON, thin
);

CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL,            -- SHA-256 of the secret, hexadecimal
    contract   TEXT NOT NULL,            -- JSON: what it may do to which requests, what it is shown, until when
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE idempotency (
    client     TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  TEXT NOT NULL,
    status     BIGINT,                   -- NULL while in flight
    response   TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (client, key)
);

CREATE TABLE job (
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,
    due_at      BIGINT NOT NULL,
    lease_until BIGINT NOT NULL DEFAULT 0,
    epoch       BIGINT NOT NULL DEFAULT 0,
    attempts    BIGINT NOT NULL DEFAULT 0,
    last_error  TEXT,
    PRIMARY KEY (kind, key)
);
CREATE INDEX job_due ON job (due_at);
