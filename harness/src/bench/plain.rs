//! What the machine does without any broker: the same bytes into as many files by plain `write()`, once, and by several
//! threads at once as often as there are replicas.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the machine: real files, the real clock, a thread for each copy"
)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::run::cost::process_cpu_ns;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Files of a copy, written in turns.
    pub files: usize,
    /// Bytes of a copy.
    pub bytes: usize,
    /// Bytes of a write.
    pub piece: usize,
}

/// Writes so many copies at once below `dir`, which is created and left empty. Returns the time and the processor time in
/// nanoseconds that it took, without the files' removal.
pub(super) fn write(dir: &Path, copies: u16, shape: Shape) -> io::Result<(Duration, u64)> {
    let dirs: Vec<_> = (0..copies).map(|copy| dir.join(format!("plain-{copy}"))).collect();
    dirs.iter().try_for_each(fs::create_dir_all)?;
    let (began, cpu) = (Instant::now(), process_cpu_ns());
    let written: Vec<io::Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> = dirs.iter().map(|dir| scope.spawn(move || copy(dir, shape))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|why| std::panic::resume_unwind(why))).collect()
    });
    let took = (began.elapsed(), process_cpu_ns() - cpu);
    dirs.iter().try_for_each(fs::remove_dir_all)?;
    written.into_iter().collect::<io::Result<()>>()?;
    Ok(took)
}

fn copy(dir: &Path, shape: Shape) -> io::Result<()> {
    let files =
        (0..shape.files.max(1)).map(|n| File::create(dir.join(n.to_string()))).collect::<io::Result<Vec<_>>>()?;
    let piece = vec![b'x'; shape.piece.max(1)];
    let mut left = shape.bytes;
    for mut file in files.iter().cycle() {
        if left == 0 {
            break;
        }
        let size = left.min(piece.len());
        file.write_all(&piece[..size])?;
        left -= size;
    }
    Ok(())
}
