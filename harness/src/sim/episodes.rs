//! Faults of one kind that overlap on one thing: each is an episode of its own, and ends without ending the others.

/// The episodes that go on at present, the oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Episodes<T> {
    open: Vec<(u64, T)>,
    next: u64,
}

impl<T> Default for Episodes<T> {
    fn default() -> Self {
        Self { open: Vec::new(), next: 0 }
    }
}

impl<T: Copy> Episodes<T> {
    /// One begins; the number that ends it.
    pub(crate) fn begin(&mut self, what: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.push((number, what));
        number
    }

    /// One ends, if it has not already.
    pub(crate) fn end(&mut self, number: u64) {
        self.open.retain(|(n, _)| *n != number);
    }

    /// What goes on.
    pub(crate) fn each(&self) -> impl Iterator<Item = T> + '_ {
        self.open.iter().map(|(_, what)| *what)
    }

    /// Changes each of them, and ends those for which `goes_on` says no.
    pub(crate) fn retain(&mut self, mut goes_on: impl FnMut(&mut T) -> bool) {
        self.open.retain_mut(|(_, what)| goes_on(what));
    }
}

#[cfg(test)]
mod tests {
    use super::Episodes;

    #[test]
    fn each_ends_by_itself() {
        let mut all = Episodes::default();
        let (a, b) = (all.begin(3), all.begin(7));
        all.end(a);
        assert!(all.each().eq([7]));
        let c = all.begin(5);
        assert_ne!(a, c, "a number is given once");
        all.end(a);
        all.retain(|left| {
            *left -= 5;
            *left > 0
        });
        assert!(all.each().eq([2]));
        all.end(b);
        assert_eq!(all.each().count(), 0);
    }
}
