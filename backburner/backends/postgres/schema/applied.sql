INSERT INTO {schema}.migrations (version, name, checksum, applied_at)
VALUES ({version}, '{name}', '{checksum}', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
