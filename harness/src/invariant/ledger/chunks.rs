//! A vector that grows by pieces: no copy and no doubling, so that ten million entries cost what they weigh.

/// Entries of one piece.
const PIECE: usize = 256;

/// A vector in pieces of equal length.
#[derive(Debug)]
pub struct Chunks<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// Entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one at the end.
    pub fn push(&mut self, entry: T) {
        if self.len.is_multiple_of(PIECE) {
            // The first piece of many small vectors grows by need; later ones are filled soon.
            let room = if self.len == 0 { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(entry);
            self.len += 1;
        }
    }

    /// Takes the last one off.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.pieces.last_mut()?;
        let entry = last.pop()?;
        if last.is_empty() {
            self.pieces.pop();
        }
        self.len -= 1;
        Some(entry)
    }

    /// The `n`-th.
    pub fn get(&self, n: usize) -> Option<&T> {
        self.pieces.get(n / PIECE)?.get(n % PIECE)
    }

    /// The `n`-th, to be changed.
    pub fn get_mut(&mut self, n: usize) -> Option<&mut T> {
        self.pieces.get_mut(n / PIECE)?.get_mut(n % PIECE)
    }

    /// The last.
    pub fn last(&self) -> Option<&T> {
        self.pieces.last()?.last()
    }

    /// In order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// The number of leading entries for which `before` holds; the entries must be sorted by it.
    pub fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let piece = self.pieces.partition_point(|p| p.first().is_some_and(&before)).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |p| piece * PIECE + p.partition_point(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn behaves_as_a_vector(steps in proptest::collection::vec(proptest::option::weighted(0.8, 0u32..9), 0..2000)) {
            let (mut model, mut chunks, mut top) = (Vec::new(), Chunks::default(), 0);
            for step in steps {
                match step {
                    Some(by) => { top += by; model.push(top); chunks.push(top); }
                    None => { proptest::prop_assert_eq!(chunks.pop(), model.pop()); top = model.last().copied().unwrap_or(0); }
                }
            }
            proptest::prop_assert_eq!(chunks.len(), model.len());
            proptest::prop_assert_eq!(chunks.iter().copied().collect::<Vec<_>>(), model.clone());
            proptest::prop_assert_eq!(chunks.get(model.len() / 2), model.get(model.len() / 2));
            for x in [0, top / 3, top, top + 1] {
                proptest::prop_assert_eq!(chunks.partition_point(|e| *e < x), model.partition_point(|e| *e < x));
            }
        }
    }
}
