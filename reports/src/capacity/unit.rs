//! Units as types: what may be multiplied with what, and what comes of it, is decided when this is compiled.
//!
//! Bytes are decimal (1 TB = 10^12 bytes), as disks are sold.

use std::marker::PhantomData;

/// A unit, as a type.
pub trait Unit: Copy + std::fmt::Debug + PartialEq {
    /// How amounts in it are read and written.
    const KIND: Kind;
}

/// `A: By<B>`: so much of A, B times, is an amount in [`By::Out`].
pub trait By<B>: Unit {
    /// The unit of the product.
    type Out: Unit;
}

/// `A: Over<B>`: A shared out over B is an amount in [`Over::Out`].
pub trait Over<B>: Unit {
    /// The unit of the quotient.
    type Out: Unit;
}

macro_rules! units {
    ($($(#[$doc:meta])* $unit:ident)*) => {
        /// Units without their types: for tables of inputs and for printing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[$doc])* $unit,)* }

        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
            pub struct $unit;

            impl Unit for $unit {
                const KIND: Kind = Kind::$unit;
            }
        )*
    };
}

units! {
    /// Things: users, partitions, brokers, consumers.
    Count
    /// So many times as much.
    Times
    /// A part of a whole, 1 being all of it.
    Share
    /// Records.
    Records
    /// Bytes.
    Bytes
    /// Seconds.
    Seconds
    /// Bytes of one record.
    BytesPerRecord
    /// Records a second.
    RecordsPerSecond
    /// Bytes a second.
    BytesPerSecond
    /// Processor cores that are busy all the time.
    Cores
    /// Seconds of one core for each byte.
    CoreSecondsPerByte
    /// Seconds of one core for each record.
    CoreSecondsPerRecord
}

macro_rules! relations {
    ($($a:ident * $b:ident = $out:ident;)*) => {
        $(impl By<$b> for $a { type Out = $out; })*
    };
    (/ $($a:ident / $b:ident = $out:ident;)*) => {
        $(impl Over<$b> for $a { type Out = $out; })*
    };
}

impl<U: Unit> By<Count> for U {
    type Out = U;
}
impl<U: Unit> By<Times> for U {
    type Out = U;
}
impl<U: Unit> By<Share> for U {
    type Out = U;
}
impl<U: Unit> Over<Count> for U {
    type Out = U;
}
impl<U: Unit> Over<Times> for U {
    type Out = U;
}
impl<U: Unit> Over<Share> for U {
    type Out = U;
}

relations! {
    Count * Records = Records;
    Records * BytesPerRecord = Bytes;
    RecordsPerSecond * BytesPerRecord = BytesPerSecond;
    RecordsPerSecond * Seconds = Records;
    BytesPerSecond * Seconds = Bytes;
    BytesPerSecond * CoreSecondsPerByte = Cores;
    RecordsPerSecond * CoreSecondsPerRecord = Cores;
}

relations! {/
    Records / Seconds = RecordsPerSecond;
    Records / RecordsPerSecond = Seconds;
    Bytes / BytesPerSecond = Seconds;
    Bytes / Bytes = Share;
    Seconds / Seconds = Share;
    RecordsPerSecond / RecordsPerSecond = Share;
    BytesPerSecond / BytesPerSecond = Share;
    Cores / Cores = Share;
}

/// So much, in this unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Amount<U>(f64, PhantomData<U>);

impl<U: Unit> Amount<U> {
    /// So many of the unit.
    pub const fn new(value: f64) -> Self {
        Self(value, PhantomData)
    }

    /// The bare number, where units end: printing and rounding.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// This many times or over that.
    pub fn by<B: Unit>(self, other: Amount<B>) -> Amount<U::Out>
    where
        U: By<B>,
    {
        Amount::new(self.0 * other.0)
    }

    /// Nothing shared out is nothing, whatever it is shared out over; anything over nothing is without end.
    pub fn over<B: Unit>(self, other: Amount<B>) -> Amount<U::Out>
    where
        U: Over<B>,
    {
        Amount::new(if self.0 == 0.0 { 0.0 } else { self.0 / other.0 })
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self::new(self.0 + other.0)
    }

    /// What is left of this without the other; at least nothing.
    pub fn less(self, other: Self) -> Self {
        Self::new((self.0 - other.0).max(0.0))
    }

    /// As people read it.
    pub fn show(self) -> String {
        U::KIND.show(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_out_as_no_number() {
        let none: Amount<Records> = Amount::new(0.0);
        assert_eq!(none.over(Amount::<RecordsPerSecond>::new(0.0)).get(), 0.0);
        assert_eq!(Amount::<Records>::new(1.0).over(Amount::<RecordsPerSecond>::new(0.0)).get(), f64::INFINITY);
        assert_eq!(none.less(Amount::new(5.0)), none);
    }
}
