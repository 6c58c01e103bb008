//! The REPL of a resource (spec B.11): a line of input, blocks of text and tables as output.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::raw::Raw;

/// The media type of output that comes block by block, one JSON value a line.
pub const JSON_LINES: &str = "application/jsonl";

/// The most blocks that are read from one output.
pub const REPL_BLOCKS_MAX: usize = 10_000;

/// What a person typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplInput {
    /// The line.
    pub input: String,
    /// Whether it may change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// A run of text with one look. Written with its `type`, `text`, which is the only one there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "text")]
pub struct ReplText {
    /// The text.
    pub text: String,
    /// Its colour, in CSS's hexadecimal notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Whether it is bold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bold: Option<bool>,
    /// Whether it is italic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub italic: Option<bool>,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

impl ReplText {
    /// Plain text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// A block of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplBlock {
    /// `paragraph`.
    Paragraph {
        /// Its runs.
        children: Vec<ReplText>,
    },
    /// `table`.
    Table {
        /// The heads of its columns.
        header: Option<Vec<ReplText>>,
        /// Its rows; each cell is a run.
        rows: Vec<Vec<ReplText>>,
    },
    /// A block of a type that this version does not know, as it came.
    Other(Raw),
}

impl ReplBlock {
    /// A paragraph of plain text.
    pub fn paragraph(text: impl Into<String>) -> Self {
        Self::Paragraph { children: vec![ReplText::new(text)] }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum WriteBlock<'a> {
    Paragraph {
        children: &'a [ReplText],
    },
    Table {
        #[serde(skip_serializing_if = "Option::is_none")]
        header: Option<&'a [ReplText]>,
        rows: &'a [Vec<ReplText>],
    },
}

#[derive(Deserialize)]
struct Tag {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ReadParagraph {
    children: Vec<ReplText>,
}

#[derive(Deserialize)]
struct ReadTable {
    #[serde(default)]
    header: Option<Vec<ReplText>>,
    rows: Vec<Vec<ReplText>>,
}

impl Serialize for ReplBlock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Paragraph { children } => WriteBlock::Paragraph { children }.serialize(to),
            Self::Table { header, rows } => WriteBlock::Table { header: header.as_deref(), rows }.serialize(to),
            Self::Other(raw) => raw.serialize(to),
        }
    }
}

/// Looks at the type first, so that an unknown block stays as it came.
impl<'de> Deserialize<'de> for ReplBlock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(from)?;
        let Tag { kind } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        match kind.as_str() {
            "paragraph" => {
                let ReadParagraph { children } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                Ok(Self::Paragraph { children })
            }
            "table" => {
                let ReadTable { header, rows } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                Ok(Self::Table { header, rows })
            }
            _ => Ok(Self::Other(raw)),
        }
    }
}

/// Why an output cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplError {
    /// Not blocks.
    #[error("the output is not a list of blocks")]
    Json(#[from] serde_json::Error),
    /// More than [`REPL_BLOCKS_MAX`] blocks.
    #[error("the output has more than {REPL_BLOCKS_MAX} blocks")]
    TooMany,
}

/// The output: an array in JSON, or one block a line as it becomes ready. An error may come as blocks with 400.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplOutput(pub Vec<ReplBlock>);

impl ReplOutput {
    /// Writes one block a line, for [`JSON_LINES`].
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        self.0.iter().try_fold(String::new(), |mut lines, block| {
            lines.push_str(&serde_json::to_string(block)?);
            lines.push('\n');
            Ok(lines)
        })
    }

    /// Reads a whole output in either form; `content_type` says which.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, ReplError> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let blocks = if media_type.eq_ignore_ascii_case(JSON_LINES) {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            let lines = lines.take(REPL_BLOCKS_MAX + 1);
            lines.map(serde_json::from_slice).collect::<Result<Vec<ReplBlock>, _>>()?
        } else {
            serde_json::from_slice(body)?
        };
        if blocks.len() > REPL_BLOCKS_MAX { Err(ReplError::TooMany) } else { Ok(Self(blocks)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r##"[{"type":"paragraph","children":[{"type":"text","text":"3 rows","color":"#00ff00","bold":true,"italic":false,"href":"https://example.com"}]},{"type":"table","header":[{"type":"text","text":"n"}],"rows":[[{"type":"text","text":"1"}],[]]},{"type":"table","rows":[]},{"type":"chart","points":[0.10, 1e400]}]"##;

    #[test]
    fn input_is_read_and_written() {
        for json in [r#"{"input":"select 1","readOnly":true}"#, r#"{"input":""}"#] {
            let input: ReplInput = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&input).unwrap(), json);
        }
        assert!(serde_json::from_str::<ReplInput>(r#"{"readOnly":true}"#).is_err());
    }

    #[test]
    fn output_survives_both_forms_and_unknown_blocks_to_the_byte() {
        let output: ReplOutput = serde_json::from_str(OUTPUT).unwrap();
        assert_eq!(serde_json::to_string(&output).unwrap(), OUTPUT);
        assert!(matches!(&output.0[3], ReplBlock::Other(raw) if raw.get().contains("1e400")));
        let lines = output.to_json_lines().unwrap();
        assert_eq!(lines.lines().count(), 4);
        for form in ["application/jsonl", "Application/JSONL; charset=utf-8"] {
            assert_eq!(ReplOutput::read(Some(form), lines.as_bytes()).unwrap(), output);
            assert_eq!(ReplOutput::read(Some(form), lines.replace('\n', "\r\n\n").as_bytes()).unwrap(), output);
        }
        assert_eq!(ReplOutput::read(None, OUTPUT.as_bytes()).unwrap(), output);
        assert_eq!(ReplOutput::read(Some(JSON_LINES), b"").unwrap(), ReplOutput::default());
        let plain: ReplBlock = serde_json::from_str(r#"{"type":"paragraph","children":[{"text":"x"}]}"#).unwrap();
        assert_eq!(plain, ReplBlock::paragraph("x"));
    }

    #[test]
    fn what_is_no_output_is_refused() {
        for bad in ["{}", "[1]", r#"[{"type":"paragraph"}]"#, r#"[{"type":"table"}]"#, r#"[{"children":[]}]"#, ""] {
            assert!(matches!(ReplOutput::read(None, bad.as_bytes()), Err(ReplError::Json(_))), "{bad}");
        }
        let block = r#"{"type":"paragraph","children":[]}"#;
        let many = |count: usize| format!("{block}\n").repeat(count);
        assert!(ReplOutput::read(Some(JSON_LINES), many(REPL_BLOCKS_MAX).as_bytes()).is_ok());
        let too_many = many(REPL_BLOCKS_MAX + 1);
        assert!(matches!(ReplOutput::read(Some(JSON_LINES), too_many.as_bytes()), Err(ReplError::TooMany)));
        let list = format!("[{}]", vec![block; REPL_BLOCKS_MAX + 1].join(","));
        assert!(matches!(ReplOutput::read(None, list.as_bytes()), Err(ReplError::TooMany)));
    }
}
