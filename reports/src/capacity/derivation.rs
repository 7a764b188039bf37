//! A derivation that cannot differ from the calculation: every term carries its value, its formula and the formula with numbers
//! in it, and an operation does all three at once. A line of the sheet gives a term a name, by which later lines call it.

use super::show;
use super::unit::{Amount, By, Count, Kind, Over, Share, Unit};

/// What binds how strongly, for parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Sum,
    Product,
    Whole,
}

/// An amount, and how it came about.
#[derive(Clone, Debug)]
pub struct Term<U> {
    value: Amount<U>,
    formula: String,
    with: String,
    binds: Binds,
}

impl<U: Unit> Term<U> {
    /// What is called `name` and is so much.
    pub fn named(name: &str, value: Amount<U>) -> Self {
        Self { value, formula: name.into(), with: value.show(), binds: Binds::Whole }
    }

    /// A constant, written out the same in formula and numbers.
    pub fn constant(text: &str, value: f64) -> Self {
        Self { value: Amount::new(value), formula: text.into(), with: text.into(), binds: Binds::Whole }
    }

    /// How much it is.
    pub fn value(&self) -> Amount<U> {
        self.value
    }

    /// The bare number.
    pub fn get(&self) -> f64 {
        self.value.get()
    }

    fn join<B: Unit, C: Unit>(&self, sign: &str, other: &Term<B>, binds: Binds, value: Amount<C>) -> Term<C> {
        // What stands behind a minus or a slash must bind more strongly than that.
        let right = if matches!(sign, "-" | "/") { Binds::Whole.min(stronger(binds)) } else { binds };
        let both = |left: &str, own: &str| {
            format!("{} {sign} {}", wrapped(left, self.binds < binds), wrapped(own, other.binds < right))
        };
        Term { value, formula: both(&self.formula, &other.formula), with: both(&self.with, &other.with), binds }
    }

    /// The product.
    pub fn times<B: Unit>(&self, other: &Term<B>) -> Term<U::Out>
    where
        U: By<B>,
    {
        self.join("×", other, Binds::Product, self.value.by(other.value))
    }

    /// The quotient.
    pub fn over<B: Unit>(&self, other: &Term<B>) -> Term<U::Out>
    where
        U: Over<B>,
    {
        self.join("/", other, Binds::Product, self.value.over(other.value))
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Self {
        self.join("+", other, Binds::Sum, self.value.plus(other.value))
    }

    /// What is left; at least nothing.
    pub fn less(&self, other: &Self) -> Self {
        self.join("-", other, Binds::Sum, self.value.less(other.value))
    }

    /// The greatest of these.
    pub fn most(of: &[&Self]) -> Self {
        let value = of.iter().map(|term| term.get()).fold(0.0, f64::max);
        let list = |texts: Vec<&str>| format!("max({})", texts.join(", "));
        Self {
            value: Amount::new(value),
            formula: list(of.iter().map(|term| term.formula.as_str()).collect()),
            with: list(of.iter().map(|term| term.with.as_str()).collect()),
            binds: Binds::Whole,
        }
    }
}

/// What has whole ones: things, and quotients of amounts of one unit.
pub trait Whole: Unit {}
impl Whole for Count {}
impl Whole for Share {}

impl<U: Whole> Term<U> {
    /// The next whole number. What lies above one by a rounding error of the calculation is that one.
    pub fn ceil(&self) -> Term<Count> {
        let value = self.get();
        let near = value.round();
        let whole = if (value - near).abs() <= near.abs() * 1e-12 { near } else { value.ceil() };
        Term {
            value: Amount::new(whole),
            formula: format!("ceil({})", self.formula),
            with: format!("ceil({})", self.with),
            binds: Binds::Whole,
        }
    }
}

fn stronger(binds: Binds) -> Binds {
    if binds == Binds::Sum { Binds::Product } else { Binds::Whole }
}

fn wrapped(text: &str, wrap: bool) -> String {
    if wrap { format!("({text})") } else { text.into() }
}

/// One line of a derivation: at one point of the inputs, or with the range that comes of theirs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Line {
    /// Which part of the derivation it belongs to.
    pub part: &'static str,
    /// What it is.
    pub name: &'static str,
    /// How it follows from inputs and earlier lines.
    pub formula: String,
    /// The same, with numbers.
    pub with: String,
    /// The unit of the numbers below.
    pub unit: Kind,
    /// What comes of the nominal inputs; nothing if it is without end.
    pub nominal: f64,
    /// The least of the three cases: all inputs favourable, nominal, unfavourable.
    pub low: f64,
    /// The most of them.
    pub high: f64,
}

impl Line {
    /// The nominal result, as people read it.
    pub fn result(&self) -> String {
        self.unit.show(self.nominal)
    }

    /// The range, as people read it; nothing if it is none.
    pub fn range(&self) -> Option<String> {
        range(self.unit, self.low, self.high)
    }
}

/// The range as people read it, unless it is none.
pub(super) fn range(unit: Kind, low: f64, high: f64) -> Option<String> {
    (low != high).then(|| show::range(unit, low, high))
}

/// A derivation, line by line.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    part: &'static str,
    lines: Vec<Line>,
}

impl Sheet {
    /// What follows belongs to this part.
    pub fn part(&mut self, part: &'static str) {
        self.part = part;
    }

    /// Writes a line, and gives it back as what later lines call by its name.
    pub fn line<U: Unit>(&mut self, name: &'static str, term: Term<U>) -> Term<U> {
        let at = term.get();
        self.lines.push(Line {
            part: self.part,
            name,
            formula: term.formula,
            with: term.with,
            unit: U::KIND,
            nominal: at,
            low: at,
            high: at,
        });
        Term::named(name, term.value)
    }

    /// The lines of the nominal case, with the ranges that the others span. All three have the same lines.
    pub fn spanning(self, others: [Sheet; 2]) -> Vec<Line> {
        let mut lines = self.lines;
        for other in others {
            for (line, at) in lines.iter_mut().zip(other.lines) {
                debug_assert_eq!(line.name, at.name);
                line.low = line.low.min(at.nominal);
                line.high = line.high.max(at.nominal);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::{Bytes, BytesPerRecord, BytesPerSecond, RecordsPerSecond, Share};
    use super::*;

    #[test]
    fn formula_numbers_and_value_go_together() {
        let mut sheet = Sheet::default();
        let rate: Term<RecordsPerSecond> = Term::named("rate", Amount::new(2000.0));
        let size: Term<BytesPerRecord> = Term::named("size", Amount::new(500.0));
        let bytes: Term<BytesPerSecond> = sheet.line("throughput", rate.times(&size));
        let one: Term<Count> = Term::constant("1", 1.0);
        let copies: Term<Count> = Term::named("copies", Amount::new(3.0));
        let out = sheet.line("out", bytes.times(&copies.less(&one).plus(&one)));
        assert_eq!(out.get(), 3e6);
        let [first, second] = sheet.lines.as_slice() else { panic!("two lines") };
        assert_eq!((first.formula.as_str(), first.with.as_str()), ("rate × size", "2,000/s × 500 B"));
        assert_eq!(
            (second.formula.as_str(), second.with.as_str()),
            ("throughput × (copies - 1 + 1)", "1 MB/s × (3 - 1 + 1)")
        );
        assert_eq!(second.result(), "3 MB/s");
    }

    #[test]
    fn parentheses_where_they_are_needed() {
        let n = |name: &str, value| Term::<Count>::named(name, Amount::new(value));
        let (a, b, c) = (n("a", 8.0), n("b", 4.0), n("c", 2.0));
        assert_eq!(a.over(&b.times(&c)).formula, "a / (b × c)");
        assert_eq!(a.over(&b).times(&c).formula, "a / b × c");
        assert_eq!(a.less(&b.less(&c)).formula, "a - (b - c)");
        assert_eq!(a.plus(&b.times(&c)).formula, "a + b × c");
        assert_eq!(a.over(&b).ceil().formula, "ceil(a / b)");
        assert_eq!(Term::most(&[&a, &b]).with, "max(8, 4)");
    }

    #[test]
    fn rounding_up_forgives_errors_of_the_calculation_only() {
        let bytes = |value: f64| Term::<Bytes>::named("b", Amount::new(value));
        let tenth = Term::<Share>::named("s", Amount::new(0.1));
        assert_eq!(bytes(3.0).over(&bytes(10.0).times(&tenth)).ceil().get(), 3.0);
        assert_eq!(bytes(0.3).over(&bytes(1.0).times(&tenth)).ceil().get(), 3.0, "0.3 / 0.1 is 2.9999999999999996");
        assert_eq!(bytes(0.7).over(&bytes(1.0).times(&tenth)).ceil().get(), 7.0, "0.7 / 0.1 is 6.999999999999999");
        assert_eq!(bytes(10.5).over(&bytes(1.0)).ceil().get(), 11.0);
        assert_eq!(bytes(1.1).over(&bytes(0.1)).ceil().get(), 11.0, "1.1 / 0.1 is 11.000000000000002");
    }
}
