//! One kind of row, by key, that knows which rows changed since the last commit and which are due when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a table holds.
pub(crate) trait Row: Serialize + DeserializeOwned + Clone {
    /// When the clock must do something about this row; `None` for never.
    fn due(&self) -> Option<Timestamp> {
        None
    }
}

/// Rows by key, in order.
pub(crate) struct Table<R> {
    name: &'static str,
    rows: BTreeMap<String, R>,
    due: BTreeSet<(Timestamp, String)>,
    dirty: BTreeSet<String>,
}

impl<R: Row> Table<R> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rows: BTreeMap::new(), due: BTreeSet::new(), dirty: BTreeSet::new() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&R> {
        self.rows.get(key)
    }

    fn replace(&mut self, key: &str, row: Option<R>) {
        let due = row.as_ref().and_then(Row::due);
        let old = match row {
            Some(row) => self.rows.insert(key.to_owned(), row),
            None => self.rows.remove(key),
        };
        if let Some(old) = old.as_ref().and_then(Row::due) {
            self.due.remove(&(old, key.to_owned()));
        }
        if let Some(due) = due {
            self.due.insert((due, key.to_owned()));
        }
    }

    pub(crate) fn put(&mut self, key: &str, row: R) {
        self.replace(key, Some(row));
        self.dirty.insert(key.to_owned());
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.replace(key, None);
        self.dirty.insert(key.to_owned());
    }

    /// Changes a row in place, if it is there.
    pub(crate) fn update<T>(&mut self, key: &str, change: impl FnOnce(&mut R) -> T) -> Option<T> {
        let mut row = self.rows.get(key)?.clone();
        let result = change(&mut row);
        self.put(key, row);
        Some(result)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &R)> {
        self.rows.iter()
    }

    /// Whether a row changed since the last commit.
    pub(crate) fn is_changed(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Forgets the first rows that may go, in the order of their keys, until at most `most` are left.
    pub(crate) fn trim(&mut self, most: usize, may_go: impl Fn(&R) -> bool) {
        let excess = self.rows.len().saturating_sub(most);
        let going = self.rows.iter().filter(|(_, row)| may_go(row)).take(excess);
        let going: Vec<String> = going.map(|(key, _)| key.clone()).collect();
        for key in going {
            self.remove(&key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows whose keys begin with `prefix`, in order.
    pub(crate) fn under<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a String, &'a R)> + use<'a, R> {
        let prefix = prefix.to_owned();
        self.rows.range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(&prefix))
    }

    /// The row that is due first.
    pub(crate) fn first_due(&self) -> Option<(Timestamp, &str)> {
        self.due.first().map(|(at, key)| (*at, key.as_str()))
    }

    /// Appends the changed rows to a journal line, as `{"t","k","v"}`, and forgets that they changed.
    pub(crate) fn drain(&mut self, line: &mut Vec<String>) -> Result<(), serde_json::Error> {
        for key in std::mem::take(&mut self.dirty) {
            line.push(entry(self.name, &key, self.rows.get(&key))?);
        }
        Ok(())
    }

    /// Appends every row.
    pub(crate) fn dump(&self, lines: &mut Vec<String>) -> Result<(), serde_json::Error> {
        for (key, row) in &self.rows {
            lines.push(entry(self.name, key, Some(row))?);
        }
        Ok(())
    }

    /// Takes one put from the journal; `null` removes.
    pub(crate) fn load(&mut self, key: &str, row: &str) -> Result<(), serde_json::Error> {
        let row = serde_json::from_str::<Option<R>>(row)?;
        self.replace(key, row);
        Ok(())
    }
}

fn entry<R: Serialize>(table: &str, key: &str, row: Option<&R>) -> Result<String, serde_json::Error> {
    let (table, key) = (serde_json::to_string(table)?, serde_json::to_string(key)?);
    Ok(format!("{{\"t\":{table},\"k\":{key},\"v\":{}}}", serde_json::to_string(&row)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Serialize, Deserialize)]
    struct Alarm(Option<Timestamp>);

    impl Row for Alarm {
        fn due(&self) -> Option<Timestamp> {
            self.0
        }
    }

    #[test]
    fn what_is_due_follows_every_change() {
        let second = |s| Timestamp::from_second(s).unwrap();
        let mut table = Table::new("alarms");
        table.put("a", Alarm(Some(second(2))));
        table.put("b", Alarm(Some(second(1))));
        assert_eq!(table.first_due(), Some((second(1), "b")));
        table.update("b", |alarm| alarm.0 = Some(second(3)));
        assert_eq!(table.first_due(), Some((second(2), "a")));
        table.remove("a");
        assert_eq!(table.first_due(), Some((second(3), "b")));
        table.load("b", "null").unwrap();
        assert_eq!(table.first_due(), None);
    }

    #[test]
    fn a_drain_gives_each_changed_row_once() {
        let mut table = Table::new("alarms");
        table.put("a", Alarm(None));
        table.remove("gone");
        let mut line = Vec::new();
        table.drain(&mut line).unwrap();
        table.drain(&mut line).unwrap();
        assert_eq!(line, [r#"{"t":"alarms","k":"a","v":null}"#, r#"{"t":"alarms","k":"gone","v":null}"#]);
    }

    #[test]
    fn a_trim_forgets_the_first_rows_that_may_go() {
        let mut table = Table::new("alarms");
        for (key, due) in [("a", None), ("b", Some(Timestamp::UNIX_EPOCH)), ("c", None), ("d", None)] {
            table.put(key, Alarm(due));
        }
        table.trim(2, |alarm| alarm.0.is_none());
        assert_eq!(table.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "d"]);
        table.trim(0, |alarm| alarm.0.is_none());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_prefix_does_not_leak_into_its_neighbour() {
        let mut table = Table::new("alarms");
        for key in ["i1/a", "i1/b", "i10/a", "i2/a"] {
            table.put(key, Alarm(None));
        }
        assert_eq!(table.under("i1/").map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["i1/a", "i1/b"]);
    }
}
