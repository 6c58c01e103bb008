//! Experiments and flags that Vercel's dashboard lists (spec A.21).
//!
//! [`ItemFields`] is a plain description; [`ExperimentItem`], [`ItemUpdate`] and [`ItemBatch`] are checked when they
//! are made and when they are read, and their errors name the rule.

use std::fmt;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::open_enum::{known_or_none, open_enum};
use super::time;

/// The most items of a batch.
pub const BATCH_ITEMS_MAX: usize = 50;
/// The longest id, slug, name and description, in characters.
pub const ITEM_TEXT_CHARS_MAX: usize = 1024;
/// The longest origin, in characters.
pub const ITEM_ORIGIN_CHARS_MAX: usize = 2048;

/// Why Vercel would not take an item or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidItem {
    /// A text is too long.
    #[error("{field} of an item has {chars} characters, at most {max} are allowed (spec A.21)")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// How long it is.
        chars: usize,
        /// How long it may be.
        max: usize,
    },
    /// The id cannot be a segment of a path.
    #[error("id of an item is empty, a dot segment, or has control characters: it stands in a path (spec A.21)")]
    BadId,
    /// Too many items at once.
    #[error("a batch has {items} items, at most {BATCH_ITEMS_MAX} are allowed (spec A.21)")]
    TooMany {
        /// How many.
        items: usize,
    },
}

fn check_length(field: &'static str, text: &str, max: usize) -> Result<(), InvalidItem> {
    let chars = text.chars().count();
    if chars > max { Err(InvalidItem::TooLong { field, chars, max }) } else { Ok(()) }
}

/// An item's id, chosen by the provider: 1 to [`ITEM_TEXT_CHARS_MAX`] characters.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ItemId(String);

impl ItemId {
    /// Checks the text and takes it as an id.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidItem> {
        let text = text.into();
        check_length("id", &text, ITEM_TEXT_CHARS_MAX)?;
        if text.is_empty() || matches!(text.as_str(), "." | "..") || text.chars().any(char::is_control) {
            return Err(InvalidItem::BadId);
        }
        Ok(Self(text))
    }

    /// The id as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ItemId {
    type Error = InvalidItem;
    fn try_from(text: String) -> Result<Self, InvalidItem> {
        Self::new(text)
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemId({})", self.0)
    }
}

open_enum! {
    /// What an item is.
    ItemCategory {
        /// An experiment.
        Experiment = "experiment",
        /// A flag.
        Flag = "flag",
    }
}

/// What is said about an item, not yet checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFields {
    /// Its name in code.
    pub slug: String,
    /// Its page at the provider.
    pub origin: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    pub category: Option<ItemCategory>,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is out of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_archived: Option<bool>,
    /// When it was made; milliseconds since 1970 on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional_milliseconds")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed; milliseconds since 1970 on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional_milliseconds")]
    pub updated_at: Option<Timestamp>,
}

impl ItemFields {
    fn check(&self) -> Result<(), InvalidItem> {
        check_length("slug", &self.slug, ITEM_TEXT_CHARS_MAX)?;
        check_length("origin", &self.origin, ITEM_ORIGIN_CHARS_MAX)?;
        check_length("name", self.name.as_deref().unwrap_or_default(), ITEM_TEXT_CHARS_MAX)?;
        check_length("description", self.description.as_deref().unwrap_or_default(), ITEM_TEXT_CHARS_MAX)
    }
}

/// An item to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExperimentItem {
    id: ItemId,
    #[serde(flatten)]
    fields: ItemFields,
}

/// Reads the text twice: serde's `flatten` would go through floats.
impl<'de> Deserialize<'de> for ExperimentItem {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Id {
            id: ItemId,
        }
        let raw = Box::<RawValue>::deserialize(from)?;
        let Id { id } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let fields = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Self::new(id, fields).map_err(D::Error::custom)
    }
}

impl ExperimentItem {
    /// Checks and makes one.
    pub fn new(id: ItemId, fields: ItemFields) -> Result<Self, InvalidItem> {
        fields.check()?;
        Ok(Self { id, fields })
    }

    /// The provider's id.
    pub const fn id(&self) -> &ItemId {
        &self.id
    }

    /// What is said about it.
    pub const fn fields(&self) -> &ItemFields {
        &self.fields
    }
}

/// All that is to be said about an item from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemUpdate(#[serde(deserialize_with = "checked_fields")] ItemFields);

fn checked_fields<'de, D: Deserializer<'de>>(from: D) -> Result<ItemFields, D::Error> {
    let fields = ItemFields::deserialize(from)?;
    fields.check().map_err(D::Error::custom)?;
    Ok(fields)
}

impl ItemUpdate {
    /// Checks and makes one.
    pub fn new(fields: ItemFields) -> Result<Self, InvalidItem> {
        fields.check()?;
        Ok(Self(fields))
    }

    /// What is said.
    pub const fn fields(&self) -> &ItemFields {
        &self.0
    }
}

/// Items to create at once, at most [`BATCH_ITEMS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedBatch")]
pub struct ItemBatch {
    items: Vec<ExperimentItem>,
}

#[derive(Deserialize)]
struct UncheckedBatch {
    items: Vec<ExperimentItem>,
}

impl TryFrom<UncheckedBatch> for ItemBatch {
    type Error = InvalidItem;
    fn try_from(read: UncheckedBatch) -> Result<Self, InvalidItem> {
        Self::new(read.items)
    }
}

impl ItemBatch {
    /// Checks and makes one.
    pub fn new(items: Vec<ExperimentItem>) -> Result<Self, InvalidItem> {
        if items.len() > BATCH_ITEMS_MAX {
            Err(InvalidItem::TooMany { items: items.len() })
        } else {
            Ok(Self { items })
        }
    }

    /// The items.
    pub fn items(&self) -> &[ExperimentItem] {
        &self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str = r#"{"id":"exp/1","slug":"new-nav","origin":"https://acme.test/1","category":"experiment","name":"Nav","description":"d","isArchived":false,"createdAt":1801461600000,"updatedAt":1801461600001}"#;

    fn item(id: &str) -> ExperimentItem {
        let fields = ItemFields { slug: "s".to_owned(), origin: "o".to_owned(), ..<_>::default() };
        ExperimentItem::new(ItemId::new(id).unwrap(), fields).unwrap()
    }

    #[test]
    fn items_survive_to_the_byte() {
        let read: ExperimentItem = serde_json::from_str(ITEM).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), ITEM);
        let least = r#"{"items":[{"id":"a","slug":"s","origin":"o"}]}"#;
        let batch: ItemBatch = serde_json::from_str(least).unwrap();
        assert_eq!((serde_json::to_string(&batch).unwrap().as_str(), batch.items()), (least, &[item("a")][..]));
        let update = ITEM.replace(r#""id":"exp/1","#, "");
        let read: ItemUpdate = serde_json::from_str(&update).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), update);
        let odd: ItemUpdate = serde_json::from_str(&update.replace("experiment\"", "poll\"")).unwrap();
        assert!(serde_json::to_string(&odd).is_err());
    }

    #[test]
    fn what_vercel_would_refuse_cannot_be_made_or_read() {
        let long = |chars| "é".repeat(chars);
        let fields = || ItemFields { slug: "s".to_owned(), origin: "o".to_owned(), ..<_>::default() };
        let rows = [
            ("slug", ItemFields { slug: long(1024), ..fields() }, ItemFields { slug: long(1025), ..fields() }),
            ("origin", ItemFields { origin: long(2048), ..fields() }, ItemFields { origin: long(2049), ..fields() }),
            (
                "name",
                ItemFields { name: Some(long(1024)), ..fields() },
                ItemFields { name: Some(long(1025)), ..fields() },
            ),
            (
                "description",
                ItemFields { description: Some(long(1024)), ..fields() },
                ItemFields { description: Some(long(1025)), ..fields() },
            ),
        ];
        for (field, good, bad) in rows {
            assert!(ItemUpdate::new(good).is_ok(), "{field}");
            let said = ItemUpdate::new(bad.clone()).unwrap_err().to_string();
            assert!(said.starts_with(field) && said.ends_with("(spec A.21)"), "{said}");
            assert!(ExperimentItem::new(ItemId::new("a").unwrap(), bad.clone()).is_err(), "{field}");
            let json = serde_json::to_string(&bad).unwrap();
            assert!(serde_json::from_str::<ItemUpdate>(&json).is_err(), "{field}");
            let json = json.replacen('{', r#"{"id":"a","#, 1);
            assert!(serde_json::from_str::<ExperimentItem>(&json).is_err(), "{field}");
        }
        assert!(ItemId::new(long(1024)).is_ok());
        assert!(matches!(ItemId::new(long(1025)), Err(InvalidItem::TooLong { field: "id", chars: 1025, max: 1024 })));
        for bad in ["", ".", "..", "a\tb", "a\n"] {
            assert_eq!(ItemId::new(bad), Err(InvalidItem::BadId), "{bad:?}");
            assert!(serde_json::from_str::<ItemId>(&serde_json::to_string(bad).unwrap()).is_err());
        }
    }

    #[test]
    fn a_batch_has_at_most_fifty_items() {
        let items = |count: usize| (0..count).map(|n| item(&n.to_string())).collect::<Vec<_>>();
        let batch = ItemBatch::new(items(50)).unwrap();
        let error = ItemBatch::new(items(51)).unwrap_err();
        assert_eq!(error, InvalidItem::TooMany { items: 51 });
        assert_eq!(error.to_string(), "a batch has 51 items, at most 50 are allowed (spec A.21)");
        let json = serde_json::to_string(&batch).unwrap().replacen('[', r#"[{"id":"x","slug":"s","origin":"o"},"#, 1);
        assert!(serde_json::from_str::<ItemBatch>(&json).is_err());
    }
}
