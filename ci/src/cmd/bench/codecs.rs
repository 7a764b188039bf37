//! `bench codecs`: what each codec makes of a sample of one's own records.

use std::path::PathBuf;

use anyhow::Context;
use load::codecs::{self, Codecs};
use load::spec::Codec;

use crate::ask::Usage;
use crate::exit::Exit;
use crate::job::progress;
use crate::screen;

/// Bytes of a sample, at most.
const MOST: u64 = 64 << 20;

/// The arguments of `bench codecs`.
#[derive(clap::Args)]
pub struct Args {
    /// A sample of records, one in each line, of at most 64 MiB.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Cut it into records of so many bytes instead.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=16_777_216))]
    record_bytes: Option<u64>,
    /// `batch.size`.
    #[arg(long, value_name = "N", default_value_t = 256 << 10, value_parser = clap::value_parser!(u64).range(1..=67_108_864))]
    batch_bytes: u64,
    /// Only this one: none, gzip, snappy, lz4 or zstd. `plan --measured` takes a file of one.
    #[arg(long, value_name = "CODEC")]
    codec: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures, and prints the ratios.
    #[expect(clippy::disallowed_methods, reason = "a file of the user's, which need not be text")]
    pub fn go(self) -> anyhow::Result<Exit> {
        let codecs = match &self.codec {
            Some(name) => vec![Codec::named(name).map_err(Usage)?],
            None => Codec::all().to_vec(),
        };
        let path = self.file.display().to_string();
        let cannot = || format!("cannot read {path}");
        if std::fs::metadata(&self.file).with_context(cannot)?.len() > MOST {
            let why =
                format!("{path} is larger than {} MiB: a part of it will do, as `head -c 64M` cuts it", MOST >> 20);
            return Err(Usage(why).into());
        }
        let text = std::fs::read(&self.file).with_context(cannot)?;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let records = codecs::records(&text.into(), self.record_bytes.map(size));
        let measure = || Codecs::of(path, &records, size(self.batch_bytes), &codecs);
        let measured = progress::busy("codecs", measure)?;
        screen::out(&if self.json { reports::json::pretty(&measured)? } else { measured.to_string() })?;
        Ok(Exit::Pass)
    }
}
