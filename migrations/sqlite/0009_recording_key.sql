-- The key under which a recording's file is encrypted, sealed by the vault. Nothing where the database is not encrypted, and
-- where the key was destroyed, which is how a recording is erased.
ALTER TABLE recording ADD COLUMN data_key TEXT;
