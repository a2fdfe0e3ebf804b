-- Matches of kind group. A member has a role (1 member, 2 admin, 3 owner; 0 where there are none), a place by how long
-- it has been one, and sees the messages behind `from_seq` and the changes from `from_rev` on. The second root repeats
-- what decides over reads.
ALTER TABLE matches ADD COLUMN is_group boolean NOT NULL DEFAULT false, ADD COLUMN title text;
ALTER TABLE members
    ADD COLUMN role     smallint NOT NULL DEFAULT 0,
    ADD COLUMN place    bigint NOT NULL DEFAULT 0,
    ADD COLUMN from_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN from_rev bigint NOT NULL DEFAULT 0;
ALTER TABLE user_matches
    ADD COLUMN from_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN from_rev bigint NOT NULL DEFAULT 0;

-- The changes that pages of messages show, too.
CREATE INDEX IF NOT EXISTS changes_noted ON changes (match_id, after_seq, rev) WHERE kind IN ('call', 'membership');

-- Whom users have added to groups: each adds only so many in a day.
CREATE TABLE invitations (
    user_id    text COLLATE "C" NOT NULL,
    match_id   text COLLATE "C" NOT NULL,
    rev        bigint NOT NULL,
    invited_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, match_id, rev, invited_id)
);
CREATE INDEX invitations_created_at ON invitations USING brin (created_at);

-- Groups that users have left by themselves, so that who repeats it is told the same again.
CREATE TABLE left_groups (
    user_id  text COLLATE "C" NOT NULL,
    match_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, match_id)
);
