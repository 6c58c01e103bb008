//! Keys, and the ids we derive instead of drawing.

use aws_lc_rs::digest::{SHA256, digest};
use tradepost_marketplace::ids::{ExternalInvoiceId, InstallationId, InvalidId, ResourceId};
use tradepost_store::Key;

pub use crate::digest::{digest_of, hex};

/// The prefix of the slice that the hourly push reads.
pub const SLICE: &str = "S#";
/// The installation, in its slice.
pub const INSTALLATION: &str = "S#0";
/// The resources, in the slice.
pub const RESOURCES: &str = "S#1#";
/// The totals of open periods, in the slice.
pub const OPEN_TOTAL: &str = "S#2#";
/// The failed push, in the slice.
pub const PUSH_FAILED: &str = "S#3";
/// The totals of closed periods.
pub const CLOSED_TOTAL: &str = "A#";
/// The secrets of a resource.
pub const CREDENTIALS: &str = "C#";
/// Effects that wait in their lanes.
pub const EFFECTS: &str = "E#";
/// Ledger entries.
pub const ENTRIES: &str = "J#";
/// Idempotency records.
pub const RECORDS: &str = "K#";
/// The one item in the collection of a partner's idempotency record.
pub const PARTNER_RECORD: &str = "K";
/// Lanes.
pub const LANES: &str = "L#";
/// Effects that lie apart: dead letters that block nothing, and what was given up.
pub const APART: &str = "Q#";
/// Rotations.
pub const ROTATIONS: &str = "R#";
/// Batches of readings.
pub const BATCHES: &str = "U#";
/// Invoices.
pub const INVOICES: &str = "V#";
/// The lines of invoices.
pub const LINES: &str = "W#";
/// The collections of installations.
const COLLECTIONS: &str = "I#";
/// The collections of Vercel's webhooks that were seen; the one item in each.
pub const SEEN: (&str, &str) = ("N#", "N");
/// The collections of sign-ins, and in each: the session, the hand-over.
pub const SIGN_INS: (&str, &str, &str) = ("Z#", "Z", "Y");
/// The collection of the checkpoints of the hourly push.
pub const CHECKPOINTS: &str = "H#billing";

/// A key as the pair of its partition and sort key: how it lies inside other items.
pub mod pair {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tradepost_store::Key;

    /// Writes it.
    pub fn serialize<S: Serializer>(key: &Option<Key>, serializer: S) -> Result<S::Ok, S::Error> {
        key.as_ref().map(|key| (&key.pk, &key.sk)).serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Key>, D::Error> {
        let pair = Option::<(String, String)>::deserialize(deserializer)?;
        Ok(pair.map(|(pk, sk)| Key { pk, sk }))
    }
}

/// The collection of an installation.
pub fn collection(installation: &InstallationId) -> String {
    format!("{COLLECTIONS}{installation}")
}

/// A key in an installation's collection.
pub fn within(installation: &InstallationId, sk: impl Into<String>) -> Key {
    Key { pk: collection(installation), sk: sk.into() }
}

/// The installation whose collection a key lies in.
pub fn installation_of(key: &Key) -> Option<InstallationId> {
    key.pk.strip_prefix(COLLECTIONS).and_then(|id| InstallationId::new(id).ok())
}

/// The shard of an installation, 0 to 255: stored in the item, so that changing the number of workers
/// rewrites nothing.
pub fn shard_of(installation: &InstallationId) -> u8 {
    digest(&SHA256, installation.as_str().as_bytes()).as_ref()[0]
}

/// The id of the resource that a provision request makes: derived from what identifies the request, so
/// that a retry makes the same one. It embeds the installation of its birth.
pub fn derive_resource(installation: &InstallationId, seed: &str) -> Result<ResourceId, InvalidId> {
    let digest = digest_of(&[b"resource", installation.as_str().as_bytes(), seed.as_bytes()]);
    ResourceId::new(format!("{installation}.r{}", &digest[..20]))
}

/// The id of an operation, derived likewise.
pub fn derive_operation(installation: &InstallationId, route: &str, key: &str) -> String {
    let digest = digest_of(&[b"operation", installation.as_str().as_bytes(), route.as_bytes(), key.as_bytes()]);
    format!("op_{}", &digest[..32])
}

/// Our id of the n-th invoice of an installation: the `externalId` Vercel dedupes by (spec A.14).
pub fn invoice_id(installation: &InstallationId, number: u32) -> Result<ExternalInvoiceId, InvalidId> {
    ExternalInvoiceId::new(format!("{installation}.i{number}"))
}

/// The installation and number in one of our invoice ids.
pub fn parse_invoice_id(text: &str) -> Option<(InstallationId, u32)> {
    let (installation, number) = text.rsplit_once(".i")?;
    // One invoice has one id: no sign, no leading zero.
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    let number = number.parse().ok().filter(|_| plain)?;
    Some((InstallationId::new(installation).ok()?, number))
}

/// The installation in which a resource was born.
pub fn birthplace(resource: &ResourceId) -> Option<InstallationId> {
    let (installation, _) = resource.as_str().rsplit_once(".r")?;
    InstallationId::new(installation).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_name_their_installation_and_do_not_collide() {
        let installation = InstallationId::new("icfg_a.r1").unwrap();
        let resource = derive_resource(&installation, "key").unwrap();
        assert_eq!(birthplace(&resource).unwrap(), installation);
        assert_ne!(resource, derive_resource(&installation, "key2").unwrap());
        assert_ne!(derive_operation(&installation, "ab", "c"), derive_operation(&installation, "a", "bc"));
        let invoice = invoice_id(&installation, 12).unwrap();
        assert_eq!(parse_invoice_id(invoice.as_str()), Some((installation, 12)));
        for other in ["icfg_a", "icfg_a.i", "icfg_a.i+1", "icfg_a.i-1", "icfg_a.i01", "icfg_a.i4294967296", ".i1"] {
            assert_eq!(parse_invoice_id(other), None, "{other}");
        }
        assert_eq!(parse_invoice_id("icfg_a.i0").unwrap().1, 0);
    }
}
