-- Everything of a match that changes later has a log of its own, with a counter of its own. `after_seq` is the match's head when
-- the change was made. The rows of milestones and matches hold the state that the changes have led to.
ALTER TABLE matches ADD COLUMN rev bigint NOT NULL DEFAULT 0;

CREATE TABLE changes (
    match_id   text COLLATE "C" NOT NULL,
    rev        bigint NOT NULL,
    kind       text NOT NULL,
    seq        bigint,
    actor      text COLLATE "C",
    after_seq  bigint NOT NULL,
    body       text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (match_id, rev)
);

-- A milestone was numbered among the milestones of its match, and is now numbered among the changes. The numbers agree for
-- what is here: a closing comes after the milestones of before this version.
ALTER TABLE milestones RENAME COLUMN ord TO rev;
ALTER TABLE milestones ALTER COLUMN rev TYPE bigint, ADD COLUMN after_seq bigint;
UPDATE milestones SET after_seq = seq;
ALTER TABLE milestones ALTER COLUMN after_seq SET NOT NULL;

-- The history of this database, which clients name when they come back. A restore begins another one: the same seq may be
-- another message there. `system` is the cluster that the epoch was made in; a dump that is restored into another cluster
-- gets a new epoch by that.
CREATE TABLE epochs (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch    text NOT NULL DEFAULT substr(md5(random()::text || clock_timestamp()::text), 1, 8),
    system   bigint NOT NULL DEFAULT (pg_control_system()).system_identifier
);
INSERT INTO epochs DEFAULT VALUES;
