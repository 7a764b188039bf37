//! One producer appends to one partition, in batches, as fast as it is acknowledged.

use broker::record::Compression;

use super::{Case, Workload};
use crate::spec::{Codec, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "sequential_append", about: "One producer, one partition, in batches, as fast as it goes", cases };

fn cases() -> Vec<Case> {
    let of = |record_bytes, batch_bytes| Spec { record_bytes, batch_bytes, ..Spec::default() };
    let packed = |codec| Spec { random_percent: 25, compression: Codec(codec), ..of(1024, 256 << 10) };
    vec![
        Case::new("100B", of(100, 256 << 10)),
        Case::new("1KiB", of(1024, 256 << 10)),
        Case::new("1KiB-1MiB-batches", of(1024, 900 << 10)),
        Case::new("16KiB", of(16 << 10, 256 << 10)),
        Case::new("1MiB", of(1 << 20, 1 << 20)),
        Case::new("1KiB-acks-1", Spec { acks: 1, ..of(1024, 256 << 10) }),
        Case::new("1KiB-acks-0", Spec { acks: 0, ..of(1024, 256 << 10) }),
        Case::new("1KiB-idempotent", Spec { idempotent: true, ..of(1024, 256 << 10) }),
        Case::new("1KiB-lz4", packed(Compression::Lz4)),
        Case::new("1KiB-zstd", packed(Compression::Zstd)),
    ]
}
