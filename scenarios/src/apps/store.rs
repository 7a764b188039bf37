//! The database of an application: redb over its host's [`Disk`], so that it loses what it would on a real one.
//!
//! redb asks for a sync in the midst of a commit and waits for it, which a task of a reactor cannot. So what it writes goes
//! into an [`Image`] of the file, and behind each sync that it asks for a barrier is put; [`Store::flush`] takes that to the
//! disk in order, each piece synced before the next one is begun. Whatever ends the process or the power then finds on disk
//! what a commit that had waited would have left there.

mod image;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use broker::env::{Disk, File, Open};
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::Mutex;

use self::image::{Change, Image};

/// What may go wrong with a database. After an error of [`Store::flush`] it is unknown what is durable, and asking again
/// proves nothing: the process must end.
pub(crate) type Result<T> = std::result::Result<T, redb::Error>;

/// Pages that redb keeps in memory besides the image, in bytes.
const CACHE: usize = 1 << 20;

/// A database in one file.
pub(crate) struct Store<D: Disk> {
    db: Database,
    image: Image,
    file: Rc<D::File>,
    /// Whether something is committed that no sync was asked for.
    dirty: Cell<bool>,
    /// Held by whoever writes to the disk.
    turn: Mutex<()>,
}

impl<D: Disk> Store<D> {
    /// Opens the database in the file of that name at the disk's root, and mends what a crash has left of it; makes one if
    /// there is none. What it holds is durable.
    pub(crate) async fn open(disk: &D, name: &str) -> Result<Self> {
        if disk.exists(name) {
            return Self::over(disk.open(name, Open::Write)?).await;
        }
        // Half a new database is none, and redb refuses it: it gets its name when it is whole.
        let fresh = format!("{name}.new");
        if disk.exists(&fresh) {
            disk.remove(&fresh)?;
        }
        let store = Self::over(disk.open(&fresh, Open::Create)?).await?;
        disk.rename(&fresh, name)?;
        disk.sync_dir("").await?;
        Ok(store)
    }

    async fn over(file: Rc<D::File>) -> Result<Self> {
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        let image = Image::new(bytes);
        let db = Database::builder().set_cache_size(CACHE).create_with_backend(image.clone())?;
        let store = Self { db, image, file, dirty: Cell::new(false), turn: Mutex::default() };
        store.flush().await?;
        Ok(store)
    }

    /// One transaction: all of `work`, or nothing if that fails. It is seen by every later one; it is durable, and may be
    /// acted upon, after the next [`Store::flush`].
    pub(crate) fn change<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        self.dirty.set(true);
        Ok(done)
    }

    /// What is committed, durable or not.
    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        Ok(self.db.begin_read()?)
    }

    /// Every transaction so far is durable when this returns.
    pub(crate) async fn flush(&self) -> Result<()> {
        if self.dirty.replace(false) {
            self.db.begin_write()?.commit()?;
        }
        let _turn = self.turn.lock().await;
        // A piece is dropped when it is synced, not before: whoever waits here may be given up.
        while let Some(piece) = self.image.first() {
            for change in &piece {
                match change {
                    Change::Write(at, bytes) => self.file.write_at(bytes, *at)?,
                    Change::Size(size) => self.file.truncate(*size)?,
                }
            }
            self.file.sync().await?;
            self.image.synced();
        }
        Ok(())
    }
}
