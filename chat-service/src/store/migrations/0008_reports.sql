-- What members have reported. `key` is the reporter's own name of the report.
CREATE TABLE reports (
    report_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    match_id    text COLLATE "C" NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    key         text COLLATE "C",
    reason      text NOT NULL,
    note        text,
    seqs        bigint[] NOT NULL,
    created_at  timestamptz NOT NULL,
    resolved_at timestamptz,
    UNIQUE (user_id, key)
);
CREATE INDEX reports_of_user ON reports (user_id, created_at);

-- Contents of messages as they were when they were reported, and as they were before, each by the change that has
-- replaced it. It stays when the messages are erased.
CREATE TABLE evidence (
    report_id   bigint NOT NULL REFERENCES reports ON DELETE CASCADE,
    seq         bigint NOT NULL,
    rev         bigint NOT NULL,
    sender_id   text COLLATE "C" NOT NULL,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (report_id, seq, rev)
);
