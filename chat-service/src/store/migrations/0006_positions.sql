-- How far each member has read and received a match. Without a row: nothing of it. What is there when this version
-- comes counts as read, so that no old history is unread.
CREATE TABLE positions (
    match_id      text COLLATE "C" NOT NULL,
    user_id       text COLLATE "C" NOT NULL,
    read_seq      bigint NOT NULL,
    delivered_seq bigint NOT NULL,
    at            timestamptz,
    PRIMARY KEY (match_id, user_id)
) WITH (fillfactor = 70);

-- What users share with others; without a row everything. `locked`: the app server alone may change it.
CREATE TABLE settings (
    user_id  text COLLATE "C" PRIMARY KEY,
    receipts boolean NOT NULL DEFAULT true,
    locked   boolean NOT NULL DEFAULT false
);
