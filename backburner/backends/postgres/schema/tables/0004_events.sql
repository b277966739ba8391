-- Events, who asks for them, and which nodes were told of as lost.
-- functions: d8ca4aec6cc9011e0bc34b3be0743abc393ed797d6942753e8fd43a37e0fc709

-- The log: its name among all there are, the number given last, and the greatest that was deleted. Numbers are given without
-- a gap, and deleted from the front: those above `pruned`, up to `last`, are all there.
CREATE TABLE {schema}.log (
    name   text   NOT NULL,
    last   bigint NOT NULL DEFAULT 0,
    pruned bigint NOT NULL DEFAULT 0
) WITH (
    -- Each sealing writes the one row.
    fillfactor = 25
);

INSERT INTO {schema}.log (name) VALUES (left(gen_random_uuid()::text, 8));

-- Events as they are written, in that order, until `seal` moves them to `events`. In a table of their own, since that costs
-- writers least: a row without an index but one in their order. To number a row where it lies would write it anew all the
-- same, with an entry in every index of the log, and leave a dead one beside each event that is kept: a table that only grows
-- at its end, and goes at its front, needs next to no vacuum, and this one is as small as what was written lately.
CREATE TABLE {schema}.unnumbered (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      text   COLLATE "C",
    name    text   COLLATE "C" NOT NULL,
    subject text   COLLATE "C" NOT NULL,
    time    bigint NOT NULL,
    data    text   NOT NULL
) WITH (
    -- A row is written and soon gone, and each sealing has to walk over what is left of them.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- Not unique, or whoever publishes an id again would wait for somebody's open transaction: of two the sealing drops the second.
CREATE INDEX unnumbered_id ON {schema}.unnumbered (id) WHERE id IS NOT NULL;

CREATE TABLE {schema}.events (
    number  bigint PRIMARY KEY,
    id      text   COLLATE "C",
    name    text   COLLATE "C" NOT NULL,
    subject text   COLLATE "C" NOT NULL,
    time    bigint NOT NULL,
    data    text   NOT NULL
);

CREATE UNIQUE INDEX events_id ON {schema}.events (id) WHERE id IS NOT NULL;

-- What is about one subject. By its hash: an entry of an index has an end, and a subject may be longer; nothing that was
-- written may keep the others from being numbered.
CREATE INDEX events_subject ON {schema}.events (hashtextextended(subject, 0), number);

CREATE TABLE {schema}.subscriptions (
    name       text   COLLATE "C" PRIMARY KEY,
    patterns   text[] COLLATE "C" NOT NULL,
    kind       text   COLLATE "C",
    ttl        bigint NOT NULL,
    cursor     bigint NOT NULL,
    created_at bigint NOT NULL,
    seen_at    bigint NOT NULL
) WITH (
    -- Confirmed again and again: with room on the page no index is touched.
    fillfactor = 25
);

-- When each is forgotten.
CREATE INDEX subscriptions_ending ON {schema}.subscriptions ((seen_at + ttl));

-- What is asked for, and by whom: what writers look at. Apart, since these rows hardly ever change.
CREATE TABLE {schema}.patterns (
    pattern      text COLLATE "C" NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    PRIMARY KEY (pattern, subscription)
);

-- Its death was told of: it is, once.
ALTER TABLE {schema}.nodes ADD COLUMN lost boolean NOT NULL DEFAULT false;

-- How many were tried before and wait to be tried again, without a look at each that waits.
CREATE INDEX jobs_retrying ON {schema}.jobs (queue, due_at) WHERE state = 'pending' AND gate = '' AND failures > 0;

-- Jobs of a lane of one slot take turns, in each queue: a hash of both, since an entry of an index has an end. Those that came
-- before an upgrade have none. And who waits for his turn, by where he stands.
ALTER TABLE {schema}.jobs ADD COLUMN turn bigint;
CREATE INDEX jobs_turns ON {schema}.jobs (turn, gate, priority, due_at, id) WHERE state = 'pending' AND turn IS NOT NULL;

-- Whoever may write jobs writes, from now on, what becomes of them: the rights in the one are those in the others, or nodes that
-- are at work would be refused from here to the next grant.
DO $grants$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role, a.privilege_type
        FROM pg_catalog.pg_class AS t CROSS JOIN LATERAL aclexplode(t.relacl) AS a
        WHERE t.oid = '{schema}.jobs'::regclass AND a.grantee <> t.relowner
          AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format(
            'GRANT %s ON {schema}.log, {schema}.unnumbered, {schema}.events, {schema}.subscriptions, {schema}.patterns TO %s',
            each.privilege_type, each.role);
    END LOOP;
END
$grants$;

-- Those that are called otherwise now.
DROP FUNCTION IF EXISTS {schema}.store(json, integer[], text, bigint[], json, boolean, boolean, text[], bigint);
DROP FUNCTION IF EXISTS {schema}.change_part(json, boolean, bigint);
DROP FUNCTION IF EXISTS {schema}.settle_each(json, text, text[], bigint);
DROP FUNCTION IF EXISTS {schema}.claim_jobs(json, bigint);
DROP FUNCTION IF EXISTS {schema}.hand_over(text[], text[], text, bigint);
DROP FUNCTION IF EXISTS {schema}.keep_lanes(
    text[], bigint[], bigint[], boolean[], boolean[], boolean[], bigint);
