//! The words in which layouts are written, of requests here and of answers where a client bounds them.

use super::guard::{Field, Shape, Tag, What};

/// A field that every version has.
pub const fn always(what: What) -> Field {
    Field { since: 0, until: i16::MAX, what }
}

/// A field from version `since` on.
pub const fn since(since: i16, what: What) -> Field {
    Field { since, until: i16::MAX, what }
}

/// A field of the versions `since` to `until`.
pub const fn within(since: i16, until: i16, what: What) -> Field {
    Field { since, until, what }
}

/// A structure without tagged fields known by type.
pub const fn shape(fields: &'static [Field]) -> Shape {
    Shape { fields, tags: &[] }
}

/// A tagged field that versions from `since` on may have.
pub const fn tag(number: u32, since: i16, what: What) -> Tag {
    Tag { number, since, what }
}

/// `bool`.
pub const BOOL: What = What::Fixed(1);
/// `int8`.
pub const I8: What = What::Fixed(1);
/// `int16`, `uint16`.
pub const I16: What = What::Fixed(2);
/// `int32`.
pub const I32: What = What::Fixed(4);
/// `int64`.
pub const I64: What = What::Fixed(8);
/// `uuid`.
pub const UUID: What = What::Fixed(16);
