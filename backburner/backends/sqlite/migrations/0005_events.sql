-- Events, who asks for them, and what a count of what waits needs.

-- There is one writer at a time, so rows are numbered in the order in which they are committed: a number that can be seen
-- has none below it that will be seen later. AUTOINCREMENT gives none twice, also when the newest were deleted; one whose
-- transaction was rolled back was seen by nobody.
CREATE TABLE backburner_events (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The publisher's; NULL: it gave none.
    id      TEXT,
    name    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    time    INTEGER NOT NULL,
    data    TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX backburner_events_ids ON backburner_events (id) WHERE id IS NOT NULL;

-- What was told of each subject, by number.
CREATE INDEX backburner_events_of ON backburner_events (subject);

CREATE TABLE backburner_subscriptions (
    name       TEXT    PRIMARY KEY,
    -- A JSON array.
    patterns   TEXT    NOT NULL,
    kind       TEXT,
    ttl        INTEGER NOT NULL,
    cursor     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the log's name among all there are, and the number up to which its events were deleted.
CREATE TABLE backburner_log (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    name   TEXT    NOT NULL,
    pruned INTEGER NOT NULL
) STRICT;

INSERT INTO backburner_log (one, name, pruned)
VALUES (1, lower(hex(randomblob(4))), 0);

-- It was told that the node is lost.
ALTER TABLE backburner_nodes ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;

-- Of those in the line who failed before; and dead letters by queue: to be counted without a row being read.
CREATE INDEX backburner_jobs_retrying ON backburner_jobs (queue, due_at)
    WHERE failures > 0 AND gate = '' AND state = 'pending';
CREATE INDEX backburner_jobs_dead ON backburner_jobs (queue) WHERE state = 'dead';
