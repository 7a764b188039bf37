//! Framing of hostile bytes in hostile pieces.
#![no_main]

use broker::wire::frame::FrameBuffer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let piece = usize::from(first).max(1);
    let mut buffer = FrameBuffer::new(1 << 20);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        buffer.room().extend_from_slice(now);
        rest = later;
        loop {
            let promised = buffer.has_frame();
            match buffer.take() {
                Ok(Some(frame)) => assert!(promised && frame.len() <= 1 << 20),
                Ok(None) => {
                    assert!(!promised);
                    break;
                }
                Err(_) => return assert!(promised),
            }
        }
        assert!(buffer.room().capacity() <= 4 * data.len() + (64 << 10));
    }
});
