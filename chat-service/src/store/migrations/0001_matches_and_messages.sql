-- Ids compare byte by byte ("C"), as the services sort them: locks are taken in one order by everybody.
-- No index on last_seq and room on every page: advancing a head stays a heap-only update.
CREATE TABLE matches (
    match_id   text COLLATE "C" PRIMARY KEY,
    last_seq   bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    closed_at  timestamptz
) WITH (fillfactor = 50);

CREATE TABLE members (
    match_id text COLLATE "C" NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (match_id, user_id)
);

-- The second root: the same pairs, by user.
CREATE TABLE user_matches (
    user_id  text COLLATE "C" NOT NULL,
    match_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, match_id)
);

-- No foreign key: it would lock the match's row a second time for every message.
CREATE TABLE messages (
    match_id   text COLLATE "C" NOT NULL,
    seq        bigint NOT NULL,
    sender_id  text COLLATE "C" NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    origin     bigint,
    by_rest    boolean NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (match_id, seq),
    UNIQUE (match_id, sender_id, client_id)
);
CREATE INDEX messages_created_at ON messages USING brin (created_at);

-- seq is the message that reached the milestone: its threshold.
CREATE TABLE milestones (
    match_id     text COLLATE "C" NOT NULL,
    milestone_id text COLLATE "C" NOT NULL,
    ord          integer NOT NULL,
    seq          bigint NOT NULL,
    unlocks      text[] NOT NULL,
    reached_at   timestamptz NOT NULL,
    announced_at timestamptz,
    PRIMARY KEY (match_id, milestone_id),
    UNIQUE (match_id, ord)
);
CREATE INDEX milestones_unannounced ON milestones (reached_at) WHERE announced_at IS NULL;

CREATE TABLE revocations (
    user_id    text COLLATE "C" PRIMARY KEY,
    not_before timestamptz NOT NULL
);
CREATE INDEX revocations_not_before ON revocations (not_before);
