//! Zigzag varints, as records carry them (Protocol Buffers' `sint32` and `sint64`).

use bytes::BufMut;

/// Appends `value`.
pub fn put(out: &mut impl BufMut, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest.to_le_bytes()[0]);
}

/// How many bytes [`put`] writes for `value`.
pub fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Takes a 64-bit varint off the front of `bytes`; `None` if it is cut off or longer than ten bytes.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

/// Takes a varint that must fit 32 bits.
#[inline]
pub fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    i32::try_from(take(bytes)?).ok()
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(values in proptest::collection::vec(any::<i64>().prop_map(|v| v >> (v & 63)), 0..20)) {
            let mut out = Vec::new();
            for &value in &values {
                let before = out.len();
                put(&mut out, value);
                prop_assert_eq!(out.len() - before, size(value));
            }
            let mut rest = &out[..];
            for &value in &values {
                prop_assert_eq!(take(&mut rest), Some(value));
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn endless_or_cut_off_varints_are_refused() {
        assert_eq!(take(&mut &[0x80; 11][..]), None);
        assert_eq!(take(&mut &[0x80][..]), None);
        assert_eq!(take(&mut &[][..]), None);
        let mut wide = Vec::new();
        put(&mut wide, i64::from(i32::MAX) + 1);
        assert_eq!(take_i32(&mut &wide[..]), None);
    }
}
