//! The file as redb sees it, and what of it is not on disk yet.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// One thing that was done to the file.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// These bytes were written there.
    Write(u64, Vec<u8>),
    /// It was cut, or extended with zeros, to so many bytes.
    Size(u64),
}

/// redb's backend. A clone is the same image. It is behind a lock because redb asks for that; one thread uses it.
#[derive(Clone, Debug)]
pub(super) struct Image(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    /// What a sync was asked for, in order: each is to be durable before any of the next is written.
    pieces: VecDeque<Vec<Change>>,
    /// What was done since the last sync.
    since: Vec<Change>,
}

impl Image {
    /// Of a file that holds `bytes`.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { bytes, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be made durable next.
    pub(super) fn first(&self) -> Option<Vec<Change>> {
        self.inner().pieces.front().cloned()
    }

    /// That is durable.
    pub(super) fn synced(&self) {
        self.inner().pieces.pop_front();
    }
}

fn place(at: u64) -> io::Result<usize> {
    usize::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (inner, at) = (self.inner(), place(offset)?);
        let bytes = inner.bytes.get(at..at.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.bytes.resize(place(len)?, 0);
        inner.since.push(Change::Size(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        let piece = std::mem::take(&mut inner.since);
        if !piece.is_empty() {
            inner.pieces.push_back(piece);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut inner, at) = (self.inner(), place(offset)?);
        let end = at.saturating_add(data.len());
        inner.bytes.get_mut(at..end).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        inner.since.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}
