#!/bin/sh
# Brings Temporal's two databases to the schema of this image's version. Safe to run again: `setup-schema` leaves a
# newer version alone and `update-schema` applies only what is missing, from the schemas in the program itself. Host,
# port, user, password and plugin come from SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN, which
# temporal-sql-tool reads by itself.
set -eu

for pair in temporal:temporal temporal_visibility:visibility; do
    database=${pair%%:*}
    schema=${pair##*:}
    temporal-sql-tool --db "$database" setup-schema --version 0.0
    temporal-sql-tool --db "$database" update-schema --schema-name "postgresql/v12/$schema"
done
echo "Temporal's schema is up to date."
