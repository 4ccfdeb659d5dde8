#!/bin/sh
# A server that listens on every address tells the others which one is its own: the container's.
set -eu
own=$(getent hosts "$(hostname)" | awk '{print $1; exit}')
: "${BIND_ON_IP:=$own}"
export BIND_ON_IP
if [ "$BIND_ON_IP" = 0.0.0.0 ]; then
    export TEMPORAL_BROADCAST_ADDRESS="${TEMPORAL_BROADCAST_ADDRESS:-$own}"
fi
exec temporal-server start
