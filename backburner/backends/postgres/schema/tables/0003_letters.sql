-- Dead letters by queue, by error and by tag, without a look at each of them.
-- functions: e38a60dc80dc36aba137557b20a6dba66a0e506946e0a04808ee6d52aa4dc12b

-- With what they are mostly counted and grouped by: their queue too.
DROP INDEX {schema}.jobs_dead;
CREATE INDEX jobs_dead ON {schema}.jobs (id) INCLUDE (fingerprint, kind, queue, created_at, ended_at) WHERE state = 'dead';

-- The same with the errors themselves, apart, since it is a multiple of the size. An entry of an index has an end: the few
-- letters whose error is a long account of it are in one of their own, without that.
CREATE INDEX jobs_dead_brief ON {schema}.jobs (id)
    INCLUDE (fingerprint, kind, queue, created_at, ended_at, error, message)
    WHERE state = 'dead' AND octet_length(error) + octet_length(message) <= 500;
CREATE INDEX jobs_dead_long ON {schema}.jobs (id)
    WHERE state = 'dead' AND octet_length(error) + octet_length(message) > 500;

-- Each entry is put in its place at once: no death has to do that for those before it.
CREATE INDEX jobs_dead_tagged ON {schema}.jobs USING gin (tags) WITH (fastupdate = off)
    WHERE state = 'dead' AND tags <> '{}';
