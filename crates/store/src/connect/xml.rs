//! The texts of a small XML answer, by their place. For the Security Token Service, which has no other form.
//!
//! A parser crate would be in every function for one answer of a dozen elements; this one knows elements, text
//! and the five named entities, and refuses whatever else XML has: comments, CDATA, document types, numeric
//! references. Attributes are skipped.

/// The longest answer that is read, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 32 * 1024;
const DEPTH_MAX: usize = 8;
const LEAVES_MAX: usize = 64;

/// The answer is not what this reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The texts of a document, each with the names of the elements around it.
#[derive(Debug)]
pub(super) struct Leaves<'a>(Vec<(Vec<&'a str>, String)>);

impl Leaves<'_> {
    /// The text at a place.
    pub(super) fn get(&self, path: &[&str]) -> Option<&str> {
        self.0.iter().find(|(at, _)| at == path).map(|(_, text)| text.as_str())
    }
}

/// Reads a document. Two texts at one place are refused: which of them counted?
pub(super) fn read(document: &str) -> Result<Leaves<'_>, Malformed> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Malformed);
    }
    let mut rest = document.trim_start();
    if let Some(declaration) = rest.strip_prefix("<?xml ") {
        rest = declaration.split_once("?>").ok_or(Malformed)?.1;
    }
    let mut leaves: Vec<(Vec<&str>, String)> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut began = false;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        if !text.trim().is_empty() {
            let is_known = leaves.iter().any(|(at, _)| *at == open);
            if open.is_empty() || is_known || leaves.len() == LEAVES_MAX {
                return Err(Malformed);
            }
            leaves.push((open.clone(), decoded(text)?));
        }
        let (tag, after) = tag[1..].split_at(end_of(&tag[1..])?);
        rest = &after[1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err(Malformed);
            }
            continue;
        }
        if (began && open.is_empty()) || open.len() == DEPTH_MAX {
            return Err(Malformed);
        }
        began = true;
        let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split_ascii_whitespace().next().filter(|name| is_name(name)).ok_or(Malformed)?;
        if !tag.starts_with(name) {
            return Err(Malformed);
        }
        if !is_closed {
            open.push(name);
        }
    }
    if began && open.is_empty() && rest.trim().is_empty() { Ok(Leaves(leaves)) } else { Err(Malformed) }
}

/// Where the tag ends: a `>` inside of quotes does not end it.
fn end_of(tag: &str) -> Result<usize, Malformed> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return Ok(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(opened), c) if opened == c => quote = None,
            (None, '<') => return Err(Malformed),
            _ => {}
        }
    }
    Err(Malformed)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

fn decoded(text: &str) -> Result<String, Malformed> {
    let mut parts = text.trim().split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').ok_or(Malformed)?;
        decoded.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return Err(Malformed),
        });
        decoded.push_str(after);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_found_by_their_place() {
        let document = "<?xml version=\"1.0\"?>\n<A xmlns='urn:>'>\n <B><C>one</C><D/></B>\n <E k=\"/>\">a &amp;&lt;b&gt; \
                        &quot;&apos;</E>\n</A>\n";
        let leaves = read(document).unwrap();
        assert_eq!(leaves.get(&["A", "B", "C"]), Some("one"));
        assert_eq!(leaves.get(&["A", "E"]), Some("a &<b> \"'"));
        assert_eq!((leaves.get(&["A", "B", "D"]), leaves.get(&["C"])), (None, None));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for document in [
            "",
            "text",
            "<A>",
            "</A>",
            "<A></B>",
            "<A></A><B></B>",
            "<A></A>tail",
            "head<A></A>",
            "<A>one<B/>two</A>",
            "<A><B>1</B><B>2</B></A>",
            "<A><!-- c --></A>",
            "<A><![CDATA[x]]></A>",
            "<!DOCTYPE A [<!ENTITY x \"y\">]><A>&x;</A>",
            "<A>&x;</A>",
            "<A>&#65;</A>",
            "<A>&amp</A>",
            "<A k=\"></A>",
            "< A></A>",
            "<1></1>",
            "<A <B></B></A>",
            "<?xml version=\"1.0\"",
        ] {
            assert!(read(document).is_err(), "{document}");
        }
        let deep = |n: usize| format!("{}x{}", "<A>".repeat(n), "</A>".repeat(n));
        assert!(read(&deep(DEPTH_MAX)).is_ok() && read(&deep(DEPTH_MAX + 1)).is_err());
        assert!(read(&format!("<A>{}</A>", "x".repeat(DOCUMENT_BYTES_MAX))).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(document in "(<|>|/|A|B| |&|amp;|\"|'|<\\?xml |\\?>|<A>|</A>|é|\\PC){0,40}") {
            let _ = read(&document);
        }
    }
}
