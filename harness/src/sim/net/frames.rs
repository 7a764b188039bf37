//! Where Kafka frames begin in a stream of bytes: enough of a parser to know which request asks what, and which response
//! answers it.

/// What the head of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub api_key: i16,
    pub correlation: i32,
}

/// Follows frames of a 4-byte length and `LEN - 4` bytes of head.
#[derive(Clone, Debug)]
pub(crate) struct Frames<const LEN: usize> {
    head: [u8; LEN],
    have: usize,
    /// Bytes of the frame in hand that come after its head.
    rest: usize,
}

/// Requests: length, api key, api version, correlation id.
pub(crate) type Requests = Frames<12>;
/// Responses: length, correlation id.
pub(crate) type Responses = Frames<8>;

impl<const LEN: usize> Default for Frames<LEN> {
    fn default() -> Self {
        Self { head: [0; LEN], have: 0, rest: 0 }
    }
}

impl<const LEN: usize> Frames<LEN> {
    /// Takes bytes up to the end of the next frame head, if they reach it. Hands back how many were taken and the head.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (usize, Option<[u8; LEN]>) {
        let skipped = self.rest.min(bytes.len());
        self.rest -= skipped;
        let wanted = (LEN - self.have).min(bytes.len() - skipped);
        let end = skipped + wanted;
        self.head[self.have..self.have + wanted].copy_from_slice(&bytes[skipped..end]);
        self.have += wanted;
        if self.have < LEN {
            return (end, None);
        }
        self.have = 0;
        let length = u32::from_be_bytes([self.head[0], self.head[1], self.head[2], self.head[3]]) as usize;
        self.rest = (length + 4).saturating_sub(LEN);
        (end, Some(self.head))
    }

    /// How many bytes of the head in hand have been seen.
    pub(crate) fn begun(&self) -> usize {
        self.have
    }
}

/// Reads a request's head.
pub(crate) fn request(head: [u8; 12]) -> Head {
    Head {
        api_key: i16::from_be_bytes([head[4], head[5]]),
        correlation: i32::from_be_bytes([head[8], head[9], head[10], head[11]]),
    }
}

/// Reads a response's correlation id.
pub(crate) fn correlation(head: [u8; 8]) -> i32 {
    i32::from_be_bytes([head[4], head[5], head[6], head[7]])
}

#[cfg(test)]
mod tests {
    use super::{Head, Requests, request};
    use proptest::prelude::*;

    fn frame(api_key: i16, correlation: i32, body: usize) -> Vec<u8> {
        let mut f = Vec::new();
        f.extend_from_slice(&u32::try_from(8 + body).expect("small").to_be_bytes());
        f.extend_from_slice(&api_key.to_be_bytes());
        f.extend_from_slice(&3i16.to_be_bytes());
        f.extend_from_slice(&correlation.to_be_bytes());
        f.resize(f.len() + body, 0xAB);
        f
    }

    proptest! {
        #[test]
        fn heads_are_found_however_the_bytes_are_cut(
            frames in prop::collection::vec((0i16..70, any::<i32>(), 0usize..50), 1..20),
            cut in 1usize..40,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(k, c, n)| frame(*k, *c, *n)).collect();
            let mut watch = Requests::default();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(cut) {
                while !piece.is_empty() {
                    let (n, head) = watch.take(piece);
                    found.extend(head.map(request));
                    piece = &piece[n..];
                }
            }
            let wanted: Vec<Head> = frames.iter().map(|&(api_key, correlation, _)| Head { api_key, correlation }).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
