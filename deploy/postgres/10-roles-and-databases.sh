#!/bin/sh
# Runs once, when the PostgreSQL volume is empty: one role and its own databases for each tenant of this server.
# The shop cannot read Temporal's tables, Temporal cannot read the shop's, and neither is a superuser. The shop's owner
# may make roles: `python -m db setup` makes one for each process, with the rights of db/grants/.
# The PostgreSQL image's entrypoint runs every *.sh of /docker-entrypoint-initdb.d in the order of their names.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 \
    --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}" \
    --set shop_password="$SHOP_DB_PASSWORD" --set temporal_password="$TEMPORAL_DB_PASSWORD" <<'SQL'
CREATE ROLE checkout LOGIN CREATEROLE PASSWORD :'shop_password';
CREATE DATABASE checkout OWNER checkout;
REVOKE ALL ON DATABASE checkout FROM PUBLIC;

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE temporal, temporal_visibility FROM PUBLIC;
SQL
