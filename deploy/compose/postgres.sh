#!/bin/sh
# PostgreSQL in its container: makes the data directory once, then runs in the place of this shell.
#
# TLS is the only way in: pg_hba.conf has `hostssl` lines and nothing else, and there is no Unix socket.
set -eu
umask 077
data=${PGDATA:?}
if [ ! -s "$data/PG_VERSION" ]; then
    # Built beside it and renamed, so that an unfinished one never becomes the data directory.
    rm -rf "$data.new"
    initdb --pgdata="$data.new" --username=postgres --pwfile=/run/tradepulse/postgres-postgres \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
    mv "$data.new" "$data"
    echo "postgres.sh: made $data"
fi
cat >"$data/pg_hba.conf" <<'HBA'
hostssl all all 0.0.0.0/0 scram-sha-256
hostssl all all ::/0      scram-sha-256
HBA
# PostgreSQL looks at the mode and the owner of its key, both of which the volume has right.
exec postgres -D "$data" \
    -c listen_addresses='*' -c unix_socket_directories='' \
    -c ssl=on -c ssl_min_protocol_version=TLSv1.2 \
    -c ssl_cert_file=/run/tradepulse/postgres.crt -c ssl_key_file=/run/tradepulse/postgres.key \
    -c password_encryption=scram-sha-256 -c max_connections=200 -c shared_buffers=256MB \
    -c timezone=UTC -c log_timezone=UTC -c log_statement=none -c log_min_error_statement=panic \
    -c dynamic_shared_memory_type=mmap
