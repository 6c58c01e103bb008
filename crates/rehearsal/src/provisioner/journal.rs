//! The journal: one JSON line a commit, written before the answer. A torn last line is a commit that was never
//! answered; it is cut off. Any other line that does not read is damage, and refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::book::Entry;

/// The longest journal that is read.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One commit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The process started, for the n-th time.
    Start(u64),
    /// An order was carried out.
    Order(Entry),
}

pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens or makes the file, and reads what is in it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Line>)> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        if file.metadata()?.len() > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {BYTES_MAX} bytes")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut lines = Vec::new();
        for (n, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let read = serde_json::from_slice(line).map_err(|_| {
                let why = format!("line {} is damaged; delete the file and those beside it to start anew", n + 1);
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?;
            lines.push(read);
        }
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok((Self { file }, lines))
    }

    /// Writes a commit down.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)
    }
}
