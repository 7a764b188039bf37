#!/usr/bin/env bash
# NATS JetStream (Go), streams in files. Before 2.10 it flushes every two minutes and cannot be told otherwise.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
from_debian nats-server nats-server
version=$("$program" --version)
version=${version##*v}
if [[ $1 == install ]]; then
    echo "nats files NATS JetStream $version"
    exit
fi
newer() { [[ $(printf '%s\n' 2.10.0 "$version" | sort -V | head -n1) == 2.10.0 ]]; }
case $4 in
    never) sync= ;;
    always) newer && sync='sync_interval: always' || cannot "NATS $version cannot flush before it acknowledges (2.10 can)" ;;
    ms:*) newer && sync="sync_interval: \"${4#ms:}ms\"" || cannot "NATS $version flushes every two minutes only (2.10 can else)" ;;
    *) cannot "NATS does not flush by the number of records" ;;
esac
cat >"$3/nats.conf" <<CONF
listen: 127.0.0.1:$2
max_payload: 16MB
jetstream { store_dir: "$3", max_file_store: 1TB
$sync }
CONF
become "$program" --config "$3/nats.conf" --log "$3/log"
