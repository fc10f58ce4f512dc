#!/bin/sh
# Starts Keycloak in the place of this shell, so that signals reach it. Arguments and KC_… variables are Keycloak's own.
#
# A secret is given as the path of a file, KC_…_FILE, which Keycloak itself does not know: it is read here, and so stands
# in this process's environment and in no description of the container.
set -eu
home=${TRADEPULSE_KEYCLOAK:-/opt/keycloak}
for name in KC_DB_PASSWORD KC_BOOTSTRAP_ADMIN_CLIENT_SECRET; do
    eval "file=\${${name}_FILE:-}"
    [ -n "$file" ] || continue
    [ -s "$file" ] || { echo "start.sh: ${name}_FILE: $file is missing or empty" >&2; exit 3; }
    value=$(cat "$file")
    export "$name=$value"
    unset "${name}_FILE" value
done
# One option a line, none of them with white space in it.
# shellcheck disable=SC2046
exec java $(cat "$home/conf/java-options") \
    -Dkc.home.dir="$home" -Djboss.server.config.dir="$home/conf" \
    -Dquarkus.transaction-manager.object-store.directory=/tmp/transaction-logs -Djava.io.tmpdir=/tmp \
    -cp "$home/lib/quarkus-run.jar" io.quarkus.bootstrap.runner.QuarkusEntryPoint "$@"
