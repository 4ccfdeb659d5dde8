#!/bin/sh
# Creates the namespace and the search attributes of CheckoutWorkflow, or finds them there. Safe to run again.
# A workflow that sets an attribute the namespace does not know fails its tasks over and over, so this job must
# have ended well before the worker starts. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are read by the CLI itself.
set -eu
: "${TEMPORAL_NAMESPACE:=default}" "${TEMPORAL_RETENTION:=168h}"
export TEMPORAL_NAMESPACE

# A port that accepts connections is not yet a cluster that answers: up to a minute for the first election.
attempts=30
until temporal operator cluster health >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    if [ "$attempts" -le 0 ]; then
        echo "Temporal at ${TEMPORAL_ADDRESS:-its default address} did not become healthy." >&2
        exit 1
    fi
    sleep 2
done

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
fi

# A fresh namespace reaches the frontend's cache within seconds, so ask until it answers.
for attribute in CheckoutStatus OrderId; do
    attempts=30
    until temporal operator search-attribute list 2>/dev/null | grep -qw "$attribute"; do
        temporal operator search-attribute create --name "$attribute" --type Keyword || true
        attempts=$((attempts - 1))
        if [ "$attempts" -le 0 ]; then
            echo "The search attribute $attribute could not be registered." >&2
            exit 1
        fi
        sleep 1
    done
done
echo "Namespace $TEMPORAL_NAMESPACE is ready."
