//! Mutations of what nodes state of themselves: these show in the simulator only.

use broker::fact::Fact;

use super::{Index, Mutation, remove_delivery};
use crate::history::{Event, Kind, TpId};

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "drop: a record never acknowledged is skipped by the final read",
        finds: &["B10"],
        black_box: false,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Deliver(d) if d.last)),
        make: remove_delivery,
    },
    Mutation {
        name: "drop: an acknowledgement does not wait for the fsync",
        finds: &["W3"],
        black_box: false,
        sites: |x| facts(x, |fact, n| matches!(fact, Fact::Flushed { .. }) && acked_after(x, n)),
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "duplicate: a batch is appended twice at the same offset",
        finds: &["W5"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Appended { .. })),
        make: |events, n| events.insert(n, events[n].clone()),
    },
    Mutation {
        name: "shift: the high watermark passes the log's end",
        finds: &["W5"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Watermarks { .. })),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Watermarks { high, .. } = fact {
                    *high += 1
                }
            })
        },
    },
    Mutation {
        name: "shift: a fetch is served past the high watermark",
        finds: &["W5"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Served { .. })),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Served { upto, high, .. } = fact {
                    *upto = *high + 1
                }
            })
        },
    },
    Mutation {
        name: "invent: retention passes the high watermark",
        finds: &["W14"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Watermarks { .. })),
        make: |events, n| {
            let mut trimmed = events[n].clone();
            if let Kind::Fact { fact, .. } = &mut trimmed.kind
                && let Fact::Watermarks { tp, high, .. } = fact
            {
                *fact = Fact::Trimmed { tp: tp.clone(), log_start: *high + 1, high: *high, asked: false };
                events.insert(n + 1, trimmed);
            }
        },
    },
    Mutation {
        name: "drop: a crash takes a batch that had to stay",
        finds: &["W16"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Recovered { tail, .. } if !tail.is_empty())),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Recovered { tail, log_end, .. } = fact {
                    *log_end = tail.pop().map_or(*log_end, |batch| batch.base);
                }
            });
        },
    },
    Mutation {
        name: "corrupt: recovery keeps a batch that is not the one appended",
        finds: &["W16", "W17"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Recovered { tail, .. } if !tail.is_empty())),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Recovered { tail, .. } = fact {
                    tail.iter_mut().for_each(|batch| batch.crc ^= 1);
                }
            });
        },
    },
    Mutation {
        name: "relabel: recovery serves what it has not synced",
        finds: &["W16"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Recovered { tail, .. } if !tail.is_empty())),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Recovered { synced, .. } = fact {
                    *synced = false
                }
            })
        },
    },
    Mutation {
        name: "corrupt: a stored batch does not match its CRC",
        finds: &["W2"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Audited { batches, .. } if !batches.is_empty())),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Audited { batches, bad_crc, .. } = fact {
                    bad_crc.push(batches[0].base)
                }
            });
        },
    },
    Mutation {
        name: "drop: the last batch is not in the audited log",
        finds: &["W17"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Audited { batches, .. } if !batches.is_empty())),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Audited { batches, log_end, .. } = fact {
                    *log_end = batches.pop().map_or(*log_end, |batch| batch.base);
                }
            });
        },
    },
    Mutation {
        name: "drop: a batch in the middle is not in the audited log",
        finds: &["W17"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Audited { batches, .. } if batches.len() > 2)),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Audited { batches, .. } = fact {
                    batches.remove(batches.len() / 2);
                }
            });
        },
    },
    Mutation {
        name: "invent: torn bytes lie behind the last batch",
        finds: &["W17"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Audited { .. })),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Audited { torn_bytes, .. } = fact {
                    *torn_bytes = 7
                }
            })
        },
    },
    Mutation {
        name: "shift: an index look-up goes astray",
        finds: &["W18"],
        black_box: false,
        sites: |x| facts(x, |fact, _| matches!(fact, Fact::Audited { .. })),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Audited { bad_lookups, .. } = fact {
                    bad_lookups.push("offset 3: index says position 70, scan says 0".into());
                }
            });
        },
    },
];

fn facts(x: &Index<'_>, wanted: impl Fn(&Fact, usize) -> bool) -> Vec<usize> {
    let fits = |n: &usize| matches!(&x.events[*n].kind, Kind::Fact { fact, .. } if wanted(fact, *n));
    (0..x.events.len()).filter(fits).collect()
}

/// Whether the same partition's acknowledgement follows at once (only its watermarks come between).
fn acked_after(x: &Index<'_>, n: usize) -> bool {
    let tp = |n: usize| -> Option<TpId> { if let Kind::Fact { tp, .. } = x.events.get(n)?.kind { tp } else { None } };
    let acked = matches!(x.events.get(n + 2).map(|e| &e.kind), Some(Kind::Fact { fact: Fact::Acked { .. }, .. }));
    acked && tp(n) == tp(n + 2)
}

fn change(events: &mut [Event], n: usize, how: impl Fn(&mut Fact)) {
    if let Kind::Fact { fact, .. } = &mut events[n].kind {
        how(fact);
    }
}
