-- A revocation may name any time, so those who poll for revocations go by when they were recorded.
ALTER TABLE revocations ADD COLUMN changed_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp());
CREATE INDEX revocations_changed_at ON revocations (changed_at, user_id);

-- Up to here a token of the very second was refused, too.
UPDATE revocations SET not_before = date_trunc('second', not_before) + interval '1 second';
