//! The journal: one append-only file, one line of JSON a commit, written before anything is answered.
//!
//! A line is an array of `{"t": table, "k": key, "v": row or null}`. Opening replays it, the last put of a
//! key winning; a last line that was torn by a kill is ignored; then the file is rewritten with one line a
//! row. No secret is in it in clear (see `derive`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Beyond this the journal is rewritten while running, if it is mostly old puts.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One put, borrowed from its line.
#[derive(Deserialize)]
pub(crate) struct Put<'a> {
    #[serde(rename = "t", borrow)]
    pub(crate) table: std::borrow::Cow<'a, str>,
    #[serde(rename = "k", borrow)]
    pub(crate) key: std::borrow::Cow<'a, str>,
    #[serde(rename = "v", borrow)]
    pub(crate) row: &'a RawValue,
}

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {0} is damaged, and it is not the last one")]
    Damaged(usize),
}

/// Replays a file into `apply`, which says whether it understood the put. A missing file is empty.
pub(crate) fn replay(path: &Path, mut apply: impl FnMut(&Put<'_>) -> bool) -> Result<(), JournalError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut lines = text.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        if lines.peek().is_none() {
            // What follows the last newline was torn, or is nothing.
            return Ok(());
        }
        let puts: Vec<Put<'_>> = serde_json::from_slice(line).map_err(|_| JournalError::Damaged(n + 1))?;
        if !puts.iter().all(&mut apply) {
            return Err(JournalError::Damaged(n + 1));
        }
    }
    Ok(())
}

impl Journal {
    /// Writes the rows as a fresh journal beside `path`, puts it in place, and goes on appending to it.
    pub(crate) fn compact(path: &Path, rows: &[String]) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".compacting");
        let beside = PathBuf::from(name);
        let mut text = String::new();
        for row in rows {
            text.push('[');
            text.push_str(row);
            text.push_str("]\n");
        }
        fs::write(&beside, &text)?;
        fs::rename(&beside, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, bytes: u64::try_from(text.len()).unwrap_or(u64::MAX) })
    }

    /// Appends one commit, in one write.
    pub(crate) fn append(&mut self, puts: &[String]) -> io::Result<()> {
        let line = format!("[{}]\n", puts.join(","));
        self.file.write_all(line.as_bytes())?;
        self.bytes = self.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.bytes > JOURNAL_BYTES_MAX
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Vec<(String, String)>, JournalError> {
        let mut puts = Vec::new();
        replay(path, |put| {
            puts.push((put.key.to_string(), put.row.get().to_owned()));
            true
        })?;
        Ok(puts)
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_any_other_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::compact(&path, &[r#"{"t":"x","k":"a","v":1}"#.to_owned()]).unwrap();
        journal.append(&[r#"{"t":"x","k":"b","v":2}"#.to_owned(), r#"{"t":"x","k":"a","v":3}"#.to_owned()]).unwrap();
        let whole = fs::read(&path).unwrap();
        let pairs = |rows: &[(&str, &str)]| rows.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Vec<_>>();
        assert_eq!(read(&path).unwrap(), pairs(&[("a", "1"), ("b", "2"), ("a", "3")]));
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(read(&path).unwrap(), pairs(&[("a", "1")]));
        fs::write(&path, [b"[torn\n", &whole[..]].concat()).unwrap();
        assert!(matches!(read(&path), Err(JournalError::Damaged(1))));
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
    }
}
