//! Why an effect waits, or died.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tradepost_marketplace::money::Money;

/// Why an effect waits, or died. Its text is what is stored, logged and told to partner systems (`effects.query`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Vercel does not know the resource, seen for the first time.
    NotKnownToVercel,
    /// Vercel says that it does not know the resource, and lists it.
    Contradicted,
    /// Vercel answered 410 to this call.
    AnsweredGone,
    /// Vercel says that the installation is gone, and nobody has settled that.
    InstallationGone,
    /// A command is in progress on the resource.
    CommandInProgress,
    /// What it was decided by has changed.
    Moved,
    /// The request that delivered it had no time left.
    NoTimeLeft,
    /// Vercel told of an invoice that we do not have.
    NoSuchInvoice,
    /// What is asked needs Vercel's id of the invoice, and it is not known.
    NoVercelId,
    /// Vercel's invoice is over another amount.
    TotalDiffers {
        /// Ours.
        ours: Money,
        /// Vercel's, as it says it.
        theirs: String,
    },
    /// Vercel's invoice is not the one that we submitted.
    AnotherInvoice,
    /// Vercel told of a refund that cannot be read yet.
    RefundNotVisibleYet,
    /// Vercel refunded something, perhaps what we asked for, perhaps something else.
    RefundUnclear,
    /// The lines of an invoice do not add up to its total.
    LinesDifferFromTotal,
    /// Vercel has finalized the installation.
    InstallationFinalized,
    /// Vercel answered that the invoice is there already.
    Duplicate,
    /// It is not known whether Vercel has the invoice.
    Unknown,
    /// The provisioner has seen a higher fence, however often ours was raised.
    StaleFence,
    /// What Vercel, the provisioner or the store said, or a partner system when it gave the effect up.
    Said(String),
}

impl Reason {
    /// What somebody said.
    pub fn said(text: impl fmt::Display) -> Self {
        Self::Said(text.to_string())
    }

    fn parse(text: String) -> Self {
        let plain = [
            Self::NotKnownToVercel,
            Self::Contradicted,
            Self::AnsweredGone,
            Self::InstallationGone,
            Self::CommandInProgress,
            Self::Moved,
            Self::NoTimeLeft,
            Self::NoSuchInvoice,
            Self::NoVercelId,
            Self::AnotherInvoice,
            Self::RefundNotVisibleYet,
            Self::RefundUnclear,
            Self::LinesDifferFromTotal,
            Self::InstallationFinalized,
            Self::Duplicate,
            Self::Unknown,
            Self::StaleFence,
        ];
        plain.into_iter().find(|reason| reason.to_string() == text).unwrap_or(Self::Said(text))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotKnownToVercel => "not_known_to_vercel",
            Self::Contradicted => "contradicted",
            Self::AnsweredGone => "answered_gone",
            Self::InstallationGone => "installation_gone",
            Self::CommandInProgress => "a command is in progress",
            Self::Moved => "the resource moved",
            Self::NoTimeLeft => "deadline",
            Self::NoSuchInvoice => "no_such_invoice",
            Self::NoVercelId => "no_vercel_id",
            Self::TotalDiffers { ours, theirs } => {
                return write!(f, "total_differs: ours {ours}, Vercel's {theirs}");
            }
            Self::AnotherInvoice => "another_invoice",
            Self::RefundNotVisibleYet => "refund_not_visible_yet",
            Self::RefundUnclear => "refund_unclear",
            Self::LinesDifferFromTotal => "lines_differ_from_total",
            Self::InstallationFinalized => "installation_finalized",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::StaleFence => "stale_fence",
            Self::Said(text) => text,
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_stored_as_its_text_and_read_back() {
        let read = |text: &str| serde_json::from_value::<Reason>(serde_json::json!(text)).unwrap();
        assert_eq!(read("not_known_to_vercel"), Reason::NotKnownToVercel);
        assert_eq!(read("deadline"), Reason::NoTimeLeft);
        assert_eq!(read("Vercel answered 500"), Reason::Said("Vercel answered 500".to_owned()));
        for reason in [Reason::StaleFence, Reason::Moved, Reason::said("why not")] {
            assert_eq!(read(&reason.to_string()), reason);
            assert_eq!(serde_json::to_value(&reason).unwrap(), reason.to_string());
        }
    }
}
