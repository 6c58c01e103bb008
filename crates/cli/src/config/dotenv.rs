//! Environment files: `NAME=value`, a line each.
//!
//! `export` before a name and comments after `#` are allowed; a value may stand in single quotes (as it is) or in
//! double quotes (with `\n`, `\r`, `\t`, `\"`, `\\` and `\$`), both over several lines. Nothing is substituted. A name
//! that is set twice is refused: tools differ in which one counts.

use std::collections::BTreeMap;

use tradepost_marketplace::doors::Environment;

/// The longest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// The most variables.
pub const VARIABLES_MAX: usize = 1_000;

/// What cannot be read. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The variables of a file. No `Debug`: the values are secrets.
pub struct Variables(BTreeMap<String, String>);

impl Environment for Variables {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

impl Variables {
    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut rest = Rest { text: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        if text.len() > FILE_BYTES_MAX {
            return Err(rest.wrong("the file is longer than 1 MiB"));
        }
        let mut variables = BTreeMap::new();
        while !rest.text.is_empty() {
            rest.spaces();
            if rest.ends_line()? {
                continue;
            }
            let at = rest.line;
            let name = rest.name()?;
            let value = rest.value()?;
            if !rest.ends_line()? {
                return Err(rest.wrong("there is something behind the closing quote"));
            }
            if variables.insert(name, value).is_some() {
                return Err(Malformed { line: at, why: "the name is set twice" });
            }
            if variables.len() > VARIABLES_MAX {
                return Err(rest.wrong("there are more than 1000 variables"));
            }
        }
        Ok(Self(variables))
    }
}

/// What is still to be read, and on which line it begins.
struct Rest<'a> {
    text: &'a str,
    line: usize,
}

impl<'a> Rest<'a> {
    fn wrong(&self, why: &'static str) -> Malformed {
        Malformed { line: self.line, why }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.text.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.text = rest;
        taken
    }

    fn spaces(&mut self) {
        let end = self.text.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(self.text.len());
        self.take(end);
    }

    /// Takes the end of a line, with a comment before it; `false` if something else comes.
    fn ends_line(&mut self) -> Result<bool, Malformed> {
        self.spaces();
        let end = self.text.find('\n').map_or(self.text.len(), |at| at + 1);
        let line = &self.text[..end];
        if !(line.trim().is_empty() || line.starts_with('#')) {
            return Ok(false);
        }
        if line.trim_end().contains('\r') {
            return Err(self.wrong("there is a carriage return inside of the line"));
        }
        self.take(end);
        Ok(true)
    }

    fn name(&mut self) -> Result<String, Malformed> {
        if let Some(after) = self.text.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
            self.take(self.text.len() - after.len());
            self.spaces();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.text.find(|c| !allowed(c)).unwrap_or(self.text.len());
        let name = self.take(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.wrong("a line begins with a name: letters, digits and _"));
        }
        self.spaces();
        if !self.text.starts_with('=') {
            return Err(self.wrong("there is no = after the name"));
        }
        self.take(1);
        self.spaces();
        Ok(name.to_owned())
    }

    fn value(&mut self) -> Result<String, Malformed> {
        match self.text.chars().next() {
            Some('\'') => {
                self.take(1);
                let end = self.text.find('\'').ok_or_else(|| self.wrong("a single quote is not closed"))?;
                let value = self.take(end).to_owned();
                self.take(1);
                Ok(value)
            }
            Some('"') => self.double_quoted(),
            _ => {
                let end = self.text.find('\n').unwrap_or(self.text.len());
                let line = &self.text[..end];
                // A # begins a comment at the start or after a space: it may well stand in a secret.
                let comment = line.char_indices().find(|(at, c)| {
                    *c == '#' && line[..*at].chars().next_back().is_none_or(|before| matches!(before, ' ' | '\t'))
                });
                let end = comment.map_or(end, |(at, _)| at);
                Ok(self.take(end).trim().to_owned())
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, Malformed> {
        self.take(1);
        let mut value = String::new();
        let mut chars = self.text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.take(at + 1);
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, escaped @ ('"' | '\\' | '$'))) => value.push(escaped),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(self.wrong("a double quote is not closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        Variables::parse(text).map(|variables| variables.0.into_iter().collect())
    }

    fn one(line: &str) -> String {
        let read = read(&format!("BEFORE=1\n{line}\r\nZ_AFTER=2")).unwrap();
        assert_eq!((read.len(), read[0].1.as_str(), read[2].1.as_str()), (3, "1", "2"), "{line}");
        assert_eq!(read[1].0, "NAME", "{line}");
        read[1].1.clone()
    }

    #[test]
    fn values_come_as_they_are_written() {
        for (line, value) in [
            ("NAME=plain", "plain"),
            ("  export\tNAME =  spaced out  ", "spaced out"),
            ("NAME=", ""),
            ("NAME= # none", ""),
            ("NAME=a#b # comment", "a#b"),
            ("NAME=base64+/==", "base64+/=="),
            ("NAME='it is \"so\" $HOME \\n' # comment", "it is \"so\" $HOME \\n"),
            ("NAME='two\nlines # and'", "two\nlines # and"),
            (r#"NAME="a\nb\"c\"\\d\$e\x""#, "a\nb\"c\"\\d$e\\x"),
            ("NAME=\"two\nlines\"", "two\nlines"),
            (r#"NAME=[{"id":"x"}]"#, r#"[{"id":"x"}]"#),
            ("NAME=ünïcödé", "ünïcödé"),
        ] {
            assert_eq!(one(line), value, "{line}");
        }
        assert_eq!(read("\u{feff}# only\n\n  # comments\n").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_its_value() {
        for (text, line) in [
            ("A=1\nB\n", 2),
            ("A=1\n\n=hush\n", 3),
            ("1A=hush", 1),
            ("A B=hush", 1),
            ("A='hush\n\n", 1),
            ("A=1\nB=\"hush\\", 2),
            ("A='x\ny' hush\n", 2),
            ("A=1\nB=2\nA=hush\n", 3),
            ("A=1\n# x\rB=hush\n", 2),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        let many = (0..=VARIABLES_MAX).map(|n| format!("A{n}=1")).collect::<Vec<_>>().join("\n");
        assert!(read(&many).is_err() && read(&"#".repeat(FILE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        let variables = Variables::parse("A=\nB=''\nC=1").unwrap();
        assert_eq!((variables.var("A"), variables.var("B"), variables.var("C").as_deref()), (None, None, Some("1")));
    }
}
