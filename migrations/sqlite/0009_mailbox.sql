-- UIDs below the cursor that were not there when it passed, with the time: [[uid, milliseconds], …]. Looked for for a day.
ALTER TABLE mailbox ADD COLUMN gaps TEXT NOT NULL DEFAULT '[]';
-- UIDs below this were there at the first connection; 0 when nobody knows.
ALTER TABLE mailbox ADD COLUMN import_below BIGINT NOT NULL DEFAULT 0;
-- Mails that are being copied to another folder, or were and are still here: see imap's shift.rs.
ALTER TABLE mailbox ADD COLUMN moving TEXT;

-- Mails at which fetching failed, and how often. They are tried last and alone, so that they hold up no other, whatever the
-- cursor says; the row goes when the mail is taken in.
CREATE TABLE mailbox_unfetched (
    account     TEXT NOT NULL,
    folder      TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uid         BIGINT NOT NULL,
    size        BIGINT NOT NULL,         -- RFC822.SIZE; 0 when not even that came
    internal_ms BIGINT NOT NULL,         -- INTERNALDATE; 0 when not even that came
    failures    BIGINT NOT NULL,
    failed_at   BIGINT NOT NULL,
    PRIMARY KEY (account, folder, uidvalidity, uid)
);

-- What could not be processed, and somebody must look at. A query says it in the same words.
CREATE INDEX interaction_quarantined ON interaction (account, position) WHERE flags LIKE '%"quarantined"%';
