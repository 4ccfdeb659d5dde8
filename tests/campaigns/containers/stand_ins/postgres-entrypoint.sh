#!/bin/sh
# What the documentation of Docker Hub's `postgres` promises, and no more: on an empty volume make a cluster, set the
# superuser's password, run the scripts of /docker-entrypoint-initdb.d against a server that listens on its socket only;
# then, and at every later start, become the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?must be set for the first start}"
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$password"
    rm "$password"
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\nunix_socket_directories = '/var/run/postgresql'\n" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
            *.sql) psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --file "$script" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
