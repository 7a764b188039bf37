#!/usr/bin/env bash
# Our broker beside every peer that can be had here, in the same rounds: what a newcomer runs. Installs what is missing, into
# target/peers or by apt (as root). Loopback only.
#
#   ci/peers/run.sh                       the workloads below, seven rounds, all peers: an hour
#   ci/peers/run.sh ARGUMENT...           as `logquake bench compare` takes them, but for the targets
#   ci/peers/run.sh --check               a second on each peer: what it acknowledges is read, once and in order
#   ci/peers/run.sh --binary FILE ...     measure with this build, made with --features peers
#   PEERS="nats redis" ci/peers/run.sh    these only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

binary=target/release/logquake
dir=target/peers/bench
if [[ "${1:-}" == --binary ]]; then
    binary=$2
    shift 2
else
    cargo build --release --quiet --features peers
fi

there=()
for peer in ${PEERS:-tansu noida nats redis}; do
    if what=$("ci/peers/$peer.sh" install); then
        echo "$peer: $what" >&2
        there+=("$peer")
    else
        echo "$peer: left out" >&2
    fi
done

# check TARGET LOAD...: whether it was fast or steady is not asked.
check() {
    local said
    said=$("$binary" bench load --dir "$dir" --rounds 1 --target "$@" 2>&1) || true
    if grep -Eq '^ *records +([1-9][0-9]*) sent, \1 acknowledged, \1 read; 0 lost, 0 again, 0 out of order$' <<<"$said"; then
        echo "ok      $*"
    else
        printf 'FAILED  %s\n%s\n' "$*" "$said"
        failed=$((failed + 1))
    fi
}

if [[ "${1:-}" == --check ]]; then
    failed=0
    parts=$(mktemp --suffix .yaml)
    trap 'rm -f "$parts"' EXIT
    # Two producers, two groups of two consumers, three partitions.
    printf '%s\n' 'name: parts' 'partitionsPerTopic: 3' 'messageSize: 1024' 'keyDistributor: NO_KEY' 'producerRate: 20000' \
        'producersPerTopic: 2' 'subscriptionsPerTopic: 2' 'consumerPerSubscription: 2' >"$parts"
    for target in own "${there[@]/#/peer:}"; do
        check "$target" one_in_flight/1KiB --seconds 1
        check "$target" tail_read/10k --seconds 1
        check "$target" "$parts" --seconds 1
        check "$target" catch_up_read/warm-100B
    done
    exit "$((failed > 0))"
fi

if [[ $# -eq 0 ]]; then
    set -- sequential_append/1KiB sequential_append/100B one_in_flight/1KiB tail_read/10k catch_up_read/warm durable/64-in-flight
fi
targets=(--target own)
for peer in "${there[@]}"; do
    targets+=(--target "peer:$peer")
done
exec "$binary" bench compare --dir "$dir" "$@" "${targets[@]}"
