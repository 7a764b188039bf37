//! Letters: what an application sends to its dead-letter topic about a record that it has given up, and what whoever reads
//! that topic learns from it.

use crate::client::record::Fetched;
use crate::history::Origin;

/// The header that says which application has given up which record.
const LETTER: &str = "letter";

/// The header of application number `app`'s letter about a record.
pub fn letter(app: u32, of: Origin) -> (&'static str, Vec<u8>) {
    (LETTER, [&app.to_be_bytes()[..], &of.to_bytes()].concat())
}

/// Whose letter a record is, and what about; `None` if it is none.
pub fn about(record: &Fetched) -> Option<(u32, Origin)> {
    let (_, value) = record.headers.iter().find(|(name, _)| name == LETTER.as_bytes())?;
    let (app, of) = value.as_deref()?.split_first_chunk()?;
    Some((u32::from_be_bytes(*app), Origin::from_bytes(of)?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::history::{RecordId, TpId};

    #[test]
    fn a_letter_says_whose_it_is_and_what_about() {
        let id = RecordId { producer: 1, incarnation: 2, seq: 3 };
        let of = Origin { tp: TpId(4), offset: 5, id, key: None };
        let (name, value) = letter(6, of);
        let mut record =
            Fetched { offset: 0, epoch: 0, timestamp: 0, key: None, value: None, headers: vec![("tp".into(), None)] };
        assert_eq!(about(&record), None);
        record.headers.push((Bytes::from(name), Some(value.into())));
        assert_eq!(about(&record), Some((6, of)));
    }
}
