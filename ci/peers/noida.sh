#!/usr/bin/env bash
# noida-db (Rust): a small server for development that speaks Kafka's protocol, among others. It holds all in memory, and from
# time to time writes all of it to one file. Fetch heeds no size: an answer has all there is, and above 2 GiB nothing is read.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
from_wheel noida-db 0.2.3 noida_db/noida-db
if [[ $1 == install ]]; then
    echo "kafka memory noida-db 0.2.3"
    exit
fi
# It takes flush.messages whatever it does then: the bench counts the flushes.
become "$program" start --only kafka --kafka-port "$2" --data-dir "$3"
