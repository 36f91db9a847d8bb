#!/bin/sh
# The part of the official PostgreSQL image's entrypoint that compose.yaml needs, for the stand-in of base_images.sh:
# a cluster in PGDATA for POSTGRES_USER and POSTGRES_DB, made at the first start; then the server in the foreground.
set -eu
export PGDATA="${PGDATA:-/var/lib/postgresql/data}"
: "${POSTGRES_USER:=postgres}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --auth-local trust --auth-host reject --encoding UTF8
    pg_ctl --pgdata "$PGDATA" --wait --options "-c listen_addresses=''" start
    createdb --host /var/run/postgresql --username "$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}"
    pg_ctl --pgdata "$PGDATA" --wait --mode fast stop
fi
[ "${1:-}" = postgres ] || set -- postgres "$@"
exec "$@"
