"""Do other people's clients get what they expect? Plain assertions; prints `N passed, N failed`."""

import argparse
import sys
import time
import traceback

import deleted
import groups
import groups_judged
import librdkafka_client
import kcat_client
import kill_rounds
import leaders_killed
import metrics
import more_clients
from broker import Broker


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--binary")
    args.add_argument("--against", metavar="ADDR")
    args.add_argument("--rounds", type=int, default=2, help="brokers of a cluster that are killed, one after the other")
    args.add_argument("only", nargs="?", default="", help="run the tests whose name contains this")
    args = args.parse_args()

    quick = ["-o", "group.initial.rebalance.delay.ms=300", "-o", "group.consumer.heartbeat.interval.ms=300",
             "-o", "group.consumer.session.timeout.ms=3000"]
    broker = None if args.against else Broker(args.binary, options=quick)
    addr = args.against or broker.addr
    tests = librdkafka_client.TESTS + kcat_client.TESTS + groups.TESTS + more_clients.TESTS
    of_a_broker = kill_rounds.TESTS + groups.KILLED
    of_a_cluster = leaders_killed.TESTS + metrics.TESTS + deleted.TESTS
    # Take minutes.
    of_a_cluster += groups.CLUSTER + groups_judged.TESTS if args.rounds > 2 or args.only else []
    tests += [] if args.against else of_a_broker + of_a_cluster
    passed, failed, began = 0, [], time.monotonic()
    for test in tests:
        name = f"{test.__module__}.{test.__name__}"
        if args.only not in name:
            continue
        start = time.monotonic()
        try:
            if test in of_a_cluster:
                test(args.binary, args.rounds)
            else:
                test(broker if test in of_a_broker else addr)
            if broker and not broker.alive():
                raise AssertionError(f"the broker died:\n{broker.said()}")
            passed += 1
            print(f"ok    {name}  {time.monotonic() - start:.1f} s", flush=True)
        except Exception:
            failed.append(name)
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
            if broker and not broker.alive():
                print(f"the broker is gone and is started again; it said:\n{broker.said()}")
                broker.start()
    if broker:
        broker.remove()
    print(f"{passed} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed) or passed == 0)


main()
