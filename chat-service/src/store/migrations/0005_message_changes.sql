-- What becomes of a message after it was stored. The row holds the state as it is. `original` is the SHA-256 of the
-- body as it was sent, once that is another: a repeat of the send is told by it. The body of a deleted message is
-- empty.
ALTER TABLE messages
    ADD COLUMN reply_to   bigint,
    ADD COLUMN edits      smallint NOT NULL DEFAULT 0,
    ADD COLUMN edited_at  timestamptz,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN reactions  text,
    ADD COLUMN original   bytea;

-- Bodies that were replaced or deleted, each with the change that has done it. Nobody reads them but reports.
CREATE TABLE versions (
    match_id    text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL,
    rev         bigint NOT NULL,
    body        text NOT NULL,
    replaced_at timestamptz NOT NULL,
    PRIMARY KEY (match_id, seq, rev)
);
CREATE INDEX versions_replaced_at ON versions USING brin (replaced_at);

-- The commands to change messages that named themselves: `content` is the SHA-256 of what was asked, `rev` is what was
-- answered, and `has_changed` says that the change of that rev is theirs.
CREATE TABLE commands (
    match_id    text COLLATE "C" NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    client_id   text COLLATE "C" NOT NULL,
    content     bytea NOT NULL,
    rev         bigint NOT NULL,
    has_changed boolean NOT NULL,
    PRIMARY KEY (match_id, user_id, client_id)
);

-- Messages that a user has hidden from the user's own pages and devices.
CREATE TABLE hidden (
    match_id text COLLATE "C" NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL,
    PRIMARY KEY (match_id, user_id, seq)
);
