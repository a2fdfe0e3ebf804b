-- Users whose data is to be erased, or was. A replica takes on what is due, and moves `due_at` ahead of itself while it
-- works: what it leaves behind when it dies is due again. After failures `due_at` is when to try again.
CREATE TABLE erasures (
    user_id     text COLLATE "C" PRIMARY KEY,
    asked_at    timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    begun_at    timestamptz,
    finished_at timestamptz,
    failures    integer NOT NULL DEFAULT 0
);
CREATE INDEX erasures_due ON erasures (due_at) WHERE finished_at IS NULL;
CREATE INDEX erasures_finished ON erasures (finished_at) WHERE finished_at IS NOT NULL;

-- The matches that are left of an erasure: those of the user when it was asked for. `through_seq` is the match's head
-- when the user had no part in it any more, and null before. Messages up to `done_seq` are erased.
CREATE TABLE erasure_matches (
    user_id     text COLLATE "C" NOT NULL REFERENCES erasures ON DELETE CASCADE,
    match_id    text COLLATE "C" NOT NULL,
    through_seq bigint,
    done_seq    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, match_id)
);

-- How much of what kind was erased.
CREATE TABLE erasure_counts (
    user_id text COLLATE "C" NOT NULL REFERENCES erasures ON DELETE CASCADE,
    step    text NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (user_id, step)
);

-- The reports that are kept: the user has made them, or their evidence has contents of the user's messages.
CREATE TABLE erasure_reports (
    user_id   text COLLATE "C" NOT NULL REFERENCES erasures ON DELETE CASCADE,
    report_id bigint NOT NULL,
    PRIMARY KEY (user_id, report_id)
);
CREATE INDEX reports_of_match ON reports (match_id);
