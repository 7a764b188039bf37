//! Bounds on a request before it is decoded.
//!
//! The `kafka-protocol` crate allocates what an array count promises, so five bytes can ask for 300 GB, which aborts
//! the process. Here a request is first walked along its [`Layout`], without allocating: every length and count must
//! fit the bytes that are there, and the request must end where its frame ends.

/// Array elements and tagged fields one request may hold in all: bounds the memory its decoded form takes (an element
/// is at most some 200 bytes) although each may be as little as one byte on the wire.
const MAX_ELEMENTS: usize = 1 << 18;

/// One field of a request, present in the versions `since` to `until`.
#[derive(Debug)]
pub struct Field {
    /// First version that has it.
    pub since: i16,
    /// Last version that has it.
    pub until: i16,
    /// How it is written.
    pub what: What,
}

/// How a field is written.
#[derive(Debug)]
pub enum What {
    /// So many bytes.
    Fixed(usize),
    /// A string, or null.
    Text,
    /// Bytes, or null.
    Blob,
    /// A count, or null, then so many of something without tagged fields.
    List(&'static What),
    /// A count, or null, then so many structures.
    Structs(&'static Shape),
    /// A structure.
    Struct(&'static Shape),
    /// A byte, and, if that is 1, a structure.
    Maybe(&'static Shape),
}

/// A tagged field that the crate decodes by its type; the others it takes as bytes.
#[derive(Debug)]
pub struct Tag {
    /// The tag.
    pub number: u32,
    /// First version that may have it.
    pub since: i16,
    /// How its content is written.
    pub what: What,
}

/// The fields of a structure, in order.
#[derive(Debug)]
pub struct Shape {
    /// Those every message carries.
    pub fields: &'static [Field],
    /// Those known by tag.
    pub tags: &'static [Tag],
}

/// A request's body.
#[derive(Debug)]
pub struct Layout {
    /// The first version with compact lengths and tagged fields (KIP-482).
    pub flexible: i16,
    /// Its fields.
    pub body: Shape,
}

/// Why a request is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A length or count goes past the end of the frame.
    #[error("a field ends {0} bytes after its frame")]
    PastEnd(usize),
    /// A length below -1, or a variable-length integer that does not fit 32 bits.
    #[error("an impossible length")]
    Length,
    /// More than [`MAX_ELEMENTS`].
    #[error("more than {MAX_ELEMENTS} elements")]
    TooMany,
    /// A tagged field whose content is shorter or longer than it says, or whose tag is not of that version.
    #[error("a malformed tagged field")]
    Tag,
    /// Bytes after the last field.
    #[error("{0} bytes after the last field")]
    Trailing(usize),
}

/// What stands before every request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The API key.
    pub key: i16,
    /// The version of the API.
    pub version: i16,
    /// To be repeated in the answer.
    pub correlation: i32,
}

impl RequestHead {
    /// The first eight bytes, which all header versions share.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (key, version, correlation) = (frame.get(0..2)?, frame.get(2..4)?, frame.get(4..8)?);
        Some(Self {
            key: i16::from_be_bytes(key.try_into().ok()?),
            version: i16::from_be_bytes(version.try_into().ok()?),
            correlation: i32::from_be_bytes(correlation.try_into().ok()?),
        })
    }
}

/// Where the body starts in a `frame` with a request of that layout and version: after the header, whose client id is
/// never compact, and whose tagged fields come with flexible versions (KIP-482).
pub fn body_at(layout: &Layout, version: i16, frame: &[u8]) -> Result<usize, Refused> {
    let mut walk = Walk { rest: frame, version, flexible: false, elements: 0 };
    walk.skip(8)?;
    walk.one(&What::Text)?;
    if version >= layout.flexible {
        walk.tags(&[])?;
    }
    Ok(frame.len() - walk.rest.len())
}

/// Walks the body of a request. What passes can be decoded in memory proportional to `body`.
pub fn check(layout: &Layout, version: i16, body: &[u8]) -> Result<(), Refused> {
    let mut walk = Walk { rest: body, version, flexible: version >= layout.flexible, elements: 0 };
    walk.shape(&layout.body)?;
    if walk.rest.is_empty() { Ok(()) } else { Err(Refused::Trailing(walk.rest.len())) }
}

/// A walk along bytes, with what is left of them.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    #[inline]
    fn skip(&mut self, n: usize) -> Result<(), Refused> {
        self.rest = self.rest.get(n..).ok_or_else(|| Refused::PastEnd(n - self.rest.len()))?;
        Ok(())
    }

    #[inline]
    fn varint(&mut self) -> Result<u32, Refused> {
        let mut value = 0u32;
        for shift in (0..32).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Refused::PastEnd(1))?;
            self.rest = rest;
            if shift == 28 && byte > 0x0f {
                return Err(Refused::Length);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Refused::Length)
    }

    /// A length or count in the version's form; 0 for null, which holds nothing either.
    #[inline]
    fn length(&mut self, wide: bool) -> Result<usize, Refused> {
        let length = match (self.flexible, wide) {
            (true, _) => i64::from(self.varint()?) - 1,
            (false, true) => i64::from(i32::from_be_bytes(self.take()?)),
            (false, false) => i64::from(i16::from_be_bytes(self.take()?)),
        };
        if length < -1 { Err(Refused::Length) } else { Ok(usize::try_from(length).unwrap_or(0)) }
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| Refused::PastEnd(N - self.rest.len()))?;
        self.rest = rest;
        Ok(*head)
    }

    /// A count: every element takes at least a byte, and the request has a budget of them.
    fn count(&mut self) -> Result<usize, Refused> {
        let count = self.length(true)?;
        if count > self.rest.len() {
            return Err(Refused::PastEnd(count - self.rest.len()));
        }
        self.spend(count)?;
        Ok(count)
    }

    fn spend(&mut self, elements: usize) -> Result<(), Refused> {
        self.elements += elements;
        if self.elements > MAX_ELEMENTS { Err(Refused::TooMany) } else { Ok(()) }
    }

    fn one(&mut self, what: &What) -> Result<(), Refused> {
        match what {
            What::Fixed(n) => self.skip(*n),
            What::Text => {
                let length = self.length(false)?;
                if length > i16::MAX as usize {
                    // Compact ones could be longer; Kafka's readers refuse them (`MessageGenerator`), and no record of its
                    // internal topics has room for them.
                    return Err(Refused::Length);
                }
                self.skip(length)
            }
            What::Blob => {
                let length = self.length(true)?;
                self.skip(length)
            }
            What::List(element) => {
                let count = self.count()?;
                if let What::Fixed(n) = element {
                    return self.skip(count.saturating_mul(*n));
                }
                (0..count).try_for_each(|_| self.one(element))
            }
            What::Structs(shape) => {
                let count = self.count()?;
                (0..count).try_for_each(|_| self.shape(shape))
            }
            What::Struct(shape) => self.shape(shape),
            What::Maybe(shape) => match self.take::<1>()? {
                [1] => self.shape(shape),
                _ => Ok(()),
            },
        }
    }

    fn shape(&mut self, shape: &Shape) -> Result<(), Refused> {
        for field in shape.fields {
            if (field.since..=field.until).contains(&self.version) {
                self.one(&field.what)?;
            }
        }
        if self.flexible { self.tags(shape.tags) } else { Ok(()) }
    }

    fn tags(&mut self, known: &[Tag]) -> Result<(), Refused> {
        let count = self.varint()? as usize;
        if count > self.rest.len() {
            return Err(Refused::PastEnd(count - self.rest.len()));
        }
        self.spend(count)?;
        for _ in 0..count {
            let number = self.varint()?;
            let size = self.varint()? as usize;
            if size > self.rest.len() {
                return Err(Refused::PastEnd(size - self.rest.len()));
            }
            let after = self.rest.len() - size;
            match known.iter().find(|tag| tag.number == number) {
                Some(tag) if tag.since > self.version => return Err(Refused::Tag),
                Some(tag) => self.one(&tag.what)?,
                None => self.skip(size)?,
            }
            if self.rest.len() != after {
                return Err(Refused::Tag);
            }
        }
        Ok(())
    }
}
