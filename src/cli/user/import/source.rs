//! The file, or what else can be read more than once.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use super::Format;
use super::rows::Rows;

/// Most bytes of what cannot be read twice.
const MAX_UNSEEKABLE_BYTES: u64 = 64 * 1024 * 1024;

/// Where the users come from, readable more than once.
pub(super) enum Source {
    File(PathBuf),
    Memory(Zeroizing<Vec<u8>>),
}

impl Source {
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        if file.as_os_str() == "-" {
            return Source::into_memory(io::stdin().lock()).context("the standard input");
        }
        let unreadable = || format!("{} cannot be read", file.display());
        let opened = File::open(file).with_context(unreadable)?;
        if opened.metadata().with_context(unreadable)?.is_file() {
            return Ok(Source::File(file.to_owned()));
        }
        Source::into_memory(opened).with_context(unreadable)
    }

    fn into_memory(input: impl Read) -> anyhow::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::new());
        input.take(MAX_UNSEEKABLE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_UNSEEKABLE_BYTES {
            bail!("more than {} MiB; write it to a file first", MAX_UNSEEKABLE_BYTES >> 20);
        }
        Ok(Source::Memory(bytes))
    }

    pub(super) fn rows(&self, format: Format) -> anyhow::Result<Rows<'_>> {
        let input: Box<dyn BufRead + '_> = match self {
            Source::File(path) => Box::new(BufReader::new(
                File::open(path).with_context(|| format!("{} cannot be read", path.display()))?,
            )),
            Source::Memory(bytes) => Box::new(&bytes[..]),
        };
        Ok(Rows::new(input, format))
    }
}
