//! The batch view over hostile bytes: what a produce request, a segment file or a fetch response may hold.
#![no_main]

use broker::record::Batches;
use broker::record::batch::{place, renew_crc, stamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for batch in Batches::new(data) {
        let Ok(batch) = batch else { break };
        let header = batch.header();
        let _ = (header.check_from_client(1 << 20), header.compression(), header.mark(), batch.check_crc());
        let mut copy = batch.bytes().to_vec();
        place(&mut copy, 7, 3);
        stamp(&mut copy, 1);
        renew_crc(&mut copy);
        let again = Batches::new(&copy).next().expect("one batch").expect("as well-formed as before");
        assert!(again.check_crc().is_ok());
        assert_eq!(again.header().mark().base, 7);
    }
});
