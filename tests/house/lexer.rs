//! Tells code from comments and strings: enough of Rust's grammar for rules, no more.

use std::ops::Range;

use crate::source::{Kind, Piece, Source, is_word};

/// Goes through a file once, and leaves in it what is a string, what is a comment, and the code without both.
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    source: &'a mut Source,
}

impl Lexer<'_> {
    /// Reads the text of a source that has no pieces yet.
    pub fn run(text: &str, source: &mut Source) {
        Lexer { bytes: text.as_bytes(), at: 0, source }.run_through();
    }

    fn run_through(mut self) {
        let mut code = self.bytes.to_vec();
        while self.at < self.bytes.len() {
            let begin = self.at;
            let line = self.source.line(begin);
            let blank = match self.bytes[begin] {
                b'/' if self.ahead("//") => Some(self.comment_line(line)),
                b'/' if self.ahead("/*") => Some(self.comment_block(line)),
                b'"' => Some(self.string(line, begin + 1)),
                b'r' | b'b' | b'c' if !self.after_word() => self.prefixed(line),
                b'\'' => self.quote(),
                _ => None,
            };
            match blank {
                Some(range) => {
                    for byte in &mut code[range] {
                        if *byte != b'\n' {
                            *byte = b' ';
                        }
                    }
                }
                None => self.at += 1,
            }
        }
        self.source.code = String::from_utf8(code).expect("whole characters were blanked");
    }

    fn ahead(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    fn after_word(&self) -> bool {
        self.at > 0 && is_word(self.bytes[self.at - 1])
    }

    fn text(&self, range: Range<usize>) -> String {
        String::from_utf8_lossy(&self.bytes[range]).into_owned()
    }

    /// Where a text is next; the end if it is nowhere.
    fn find(&self, from: usize, text: &str) -> usize {
        let found = self.bytes[from..].windows(text.len()).position(|window| window == text.as_bytes());
        found.map_or(self.bytes.len(), |at| from + at)
    }

    fn comment_line(&mut self, line: usize) -> Range<usize> {
        let begin = self.at;
        let end = self.find(begin, "\n");
        let text = self.text(begin..end);
        let doc = (text.starts_with("///") && !text.starts_with("////")) || text.starts_with("//!");
        let kind = if doc { Kind::Doc } else { Kind::Note };
        let text = text.trim_start_matches(['/', '!']).trim_start().to_owned();
        self.source.comments.push((kind, Piece { at: begin, line, text, raw: false }));
        self.at = end;
        begin..end
    }

    fn comment_block(&mut self, line: usize) -> Range<usize> {
        let begin = self.at;
        let mut depth = 0;
        while self.at < self.bytes.len() {
            if self.ahead("/*") {
                depth += 1;
                self.at += 2;
            } else if self.ahead("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                self.at += 1;
            }
        }
        let text = self.text(begin..self.at);
        let kind = if text.starts_with("/**") || text.starts_with("/*!") { Kind::Doc } else { Kind::Note };
        for (nth, text) in text.lines().enumerate() {
            let text = text.trim_matches(['/', '*', '!', ' ']).to_owned();
            self.source.comments.push((kind, Piece { at: begin, line: line + nth, text, raw: false }));
        }
        begin..self.at
    }

    fn string(&mut self, line: usize, begin: usize) -> Range<usize> {
        let mut end = begin;
        while end < self.bytes.len() && self.bytes[end] != b'"' {
            end += if self.bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.kept(line, begin..end.min(self.bytes.len()), 1, false)
    }

    fn kept(&mut self, line: usize, range: Range<usize>, closing: usize, raw: bool) -> Range<usize> {
        let text = self.text(range.clone());
        self.source.strings.push(Piece { at: range.start, line, text, raw });
        self.at = (range.end + closing).min(self.bytes.len());
        range
    }

    /// `r"…"`, `br#"…"#`, `b"…"`, `b'…'`, `c"…"`; an identifier or `r#ident` otherwise.
    fn prefixed(&mut self, line: usize) -> Option<Range<usize>> {
        let mut at = self.at;
        while at < self.bytes.len() && at < self.at + 2 && matches!(self.bytes[at], b'r' | b'b' | b'c') {
            at += 1;
        }
        let raw = self.bytes[at - 1] == b'r';
        let hashes = self.bytes[at..].iter().take_while(|byte| **byte == b'#').count();
        let quoted = self.bytes.get(at + hashes) == Some(&b'"');
        if raw && quoted {
            let begin = at + hashes + 1;
            let end = self.find(begin, &format!("\"{}", "#".repeat(hashes)));
            return Some(self.kept(line, begin..end, 1 + hashes, true));
        }
        if hashes == 0 && quoted {
            return Some(self.string(line, at + 1));
        }
        None
    }

    /// A character, or the beginning of a lifetime or label.
    fn quote(&mut self) -> Option<Range<usize>> {
        let begin = self.at + 1;
        let first = *self.bytes.get(begin)?;
        let end = if first == b'\\' {
            self.find(begin + 2, "'")
        } else {
            let width = String::from_utf8_lossy(&self.bytes[begin..(begin + 4).min(self.bytes.len())]);
            begin + width.chars().next()?.len_utf8()
        };
        if self.bytes.get(end) != Some(&b'\'') {
            return None;
        }
        self.at = end + 1;
        Some(begin..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_apart_from_comments_and_strings() {
        let text = "fn a<'x>(b: &'x str) { let c = '}'; let d = \"} // no \\\" } \"; /* } /* } */ */ }\n\
                    // { whole\nlet e = br#\"{ \" \"#; let f = '\\''; let r#g = b'{'; let h = 'é'; r(\"é{\")\n";
        let source = Source::new("a.rs", text);
        let braces = |byte| source.code.bytes().filter(|it| *it == byte).count();
        assert_eq!((braces(b'{'), braces(b'}')), (1, 1), "{}", source.code);
        assert_eq!(source.code.len(), text.len());
        let strings: Vec<&str> = source.strings.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(strings, ["} // no \\\" } ", "{ \" ", "é{"]);
        assert_eq!(source.strings.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 3, 3]);
        assert_eq!(source.comments[1].1.text, "{ whole");
        assert!(source.code.contains("r#g"));
    }
}
