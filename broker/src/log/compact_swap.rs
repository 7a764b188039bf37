//! A segment's files exchanged for those of its compacted copy, so that a crash at any point leaves the one or the other.
//!
//! First the copy is made durable under its temporary names, and with it a marker. Then its three files are renamed over
//! those of the segment; the log's own is replaced as a whole, and is never mixed. Only the indexes may be of the other
//! log, if a power loss keeps some of the renames and not others: where the marker is found they are made anew. It is
//! removed when the renames are durable. One that comes back later costs the making of two indexes, nothing else.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::compact::{Cleaning, marker};
use super::compact_copy::Copying;
use super::files::{Dir, Kind};
use super::lookup::Hints;
use super::{Log, LogError};
use crate::env::{Disk, File, Open};

/// What has to be durable before a pass goes on.
#[must_use = "the pass does not go on before it is durable"]
pub struct Exchange<D: Disk> {
    disk: D,
    dir: String,
    files: Vec<Rc<D::File>>,
    marker: Option<String>,
    durable: Rc<Cell<bool>>,
    offline: Rc<Cell<bool>>,
}

impl<D: Disk> Exchange<D> {
    /// The copy's files, and the marker.
    pub(super) fn of_files(dir: &Dir<D>, copying: &Copying<D>, offline: Rc<Cell<bool>>) -> io::Result<Self> {
        let files = Kind::ALL.into_iter().map(|kind| copying.staged.index_file(&copying.staging, kind));
        let files = files.collect::<io::Result<_>>()?;
        Ok(Self { files, marker: Some(dir.join(&marker(copying.base))), ..Self::of_names(dir, offline) })
    }

    /// The directory's names alone.
    fn of_names(dir: &Dir<D>, offline: Rc<Cell<bool>>) -> Self {
        let (disk, dir) = (dir.disk().clone(), dir.path.clone());
        Self { disk, dir, files: Vec::new(), marker: None, durable: Rc::default(), offline }
    }

    /// Tells whether it is durable.
    pub(super) fn durable(&self) -> Rc<Cell<bool>> {
        self.durable.clone()
    }

    /// Waits for the device. After an error the log is off line, and the node has to halt, as after that of a flush.
    pub async fn sync(&self) -> Result<(), LogError> {
        if self.offline.get() {
            return Err(LogError::Offline);
        }
        let done = self.sync_all().await;
        self.durable.set(done.is_ok());
        self.offline.set(self.offline.get() || done.is_err());
        Ok(done?)
    }

    async fn sync_all(&self) -> io::Result<()> {
        for file in &self.files {
            file.sync().await?;
        }
        if let Some(marker) = &self.marker {
            self.disk.open(marker, Open::Create)?;
        }
        self.disk.sync_dir(&self.dir).await
    }
}

impl<D: Disk> Log<D> {
    /// Renames the copy's files over the segment's. `None` if that is gone meanwhile.
    pub(super) fn exchange(
        &mut self,
        pass: &mut Cleaning<D>,
        copying: Copying<D>,
    ) -> Result<Option<Exchange<D>>, LogError> {
        let Some(at) = self.to_clean(pass, copying.base).filter(|&at| self.segments[at].base == copying.base) else {
            copying.discard(&self.dir);
            return Ok(None);
        };
        let segment = &self.segments[at];
        segment.close(&self.dir);
        copying.staged.close(&copying.staging);
        for kind in Kind::ALL {
            let name = kind.name(copying.base);
            let renamed = self.dir.disk().rename(&copying.staging.join(&name), &self.dir.join(&name));
            renamed.map_err(|error| self.broken(error))?;
        }
        let Copying { base, mut staged, records, .. } = copying;
        (staged.created, staged.changed, staged.synced) = (segment.created, segment.changed, segment.synced);
        pass.count(base, segment.size, (staged.size, records));
        self.segments[at] = staged;
        // They say where batches lie in the file that was there before.
        self.hints = Hints::default();
        self.names_changed = self.changed();
        Ok(Some(Exchange::of_names(&self.dir, self.offline.clone())))
    }
}
