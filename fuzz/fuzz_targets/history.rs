//! A recorded history of hostile bytes, as `check` is given it: it is read to its end, or refused with a reason.
#![no_main]

use harness::history::file::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((_, events)) = Reader::new(data) {
        events.take_while(Result::is_ok).for_each(drop);
    }
});
