//! Real files. Data operations go straight to the page cache; what waits for the device runs on one thread of its own,
//! so that the reactor is not blocked.

#![expect(clippy::disallowed_methods, reason = "this is the door that the rest is told to use")]

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use crate::env::{Disk, File, Open};

/// Syncs that may wait for the thread; one more blocks the reactor until the device catches up.
const QUEUE: usize = 1024;

/// What the thread is asked for: a sync, and where to say how it went.
struct Job {
    file: Arc<fs::File>,
    data_only: bool,
    done: oneshot::Sender<io::Result<()>>,
}

fn serve(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let result = if job.data_only { job.file.sync_data() } else { job.file.sync_all() };
        // Nobody waits any more: the node has halted.
        let _ = job.done.send(result);
    }
}

async fn ask(jobs: &SyncSender<Job>, file: Arc<fs::File>, data_only: bool) -> io::Result<()> {
    let gone = || io::Error::other("the sync thread is gone");
    let (done, answer) = oneshot::channel();
    jobs.send(Job { file, data_only, done }).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// The files below one directory. Clones share the sync thread, which ends with the last of them and of their files.
#[derive(Clone)]
pub struct RealDisk {
    root: Rc<PathBuf>,
    jobs: SyncSender<Job>,
}

impl RealDisk {
    /// The disk rooted at `root`, which is created if it is missing.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let (jobs, asked) = sync_channel(QUEUE);
        thread::Builder::new().name("disk-sync".into()).spawn(move || serve(&asked))?;
        Ok(Self { root: Rc::new(root), jobs })
    }

    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let path = Path::new(path);
        if path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(self.root.join(path));
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "a path must stay below the root"))
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn open(&self, path: &str, how: Open) -> io::Result<Rc<RealFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(how != Open::Read).create(how == Open::Create).truncate(false);
        let file = Arc::new(options.open(self.path(path)?)?);
        Ok(Rc::new(RealFile { file, jobs: self.jobs.clone() }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path)?)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.path(path)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(path)?)? {
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).is_ok_and(|path| path.exists())
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let dir = Arc::new(fs::File::open(self.path(path)?)?);
        ask(&self.jobs, dir, false).await
    }

    async fn settled(&self) {}
}

/// An open real file.
pub struct RealFile {
    file: Arc<fs::File>,
    jobs: SyncSender<Job>,
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], position + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    async fn sync(&self) -> io::Result<()> {
        ask(&self.jobs, self.file.clone(), true).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().join("root")).unwrap();
        disk.create_dir("a/b").unwrap();
        assert_eq!(disk.open("a/b/f", Open::Write).err().unwrap().kind(), io::ErrorKind::NotFound);
        let file = disk.open("a/b/f", Open::Create).unwrap();
        file.write_at(b"hello", 3).unwrap();
        file.sync().await.unwrap();
        disk.sync_dir("a/b").await.unwrap();
        let mut buf = [9; 16];
        assert_eq!(file.read_at(&mut buf, 0).unwrap(), 8);
        assert_eq!(&buf[..8], b"\0\0\0hello");
        file.truncate(4).unwrap();
        assert_eq!(disk.open("a/b/f", Open::Read).unwrap().size().unwrap(), 4);
        disk.rename("a/b/f", "a/b/g").unwrap();
        assert_eq!(disk.list("a/b").unwrap(), ["g"]);
        assert!(disk.exists("a/b/g") && !disk.exists("a/b/f"));
        disk.remove("a/b/g").unwrap();
        disk.remove_dir("a/b").unwrap();
        assert_eq!(disk.list("a/b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn stays_below_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().to_owned()).unwrap();
        for path in ["../x", "/etc/x", "a/../../x"] {
            assert_eq!(disk.open(path, Open::Create).err().unwrap().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
