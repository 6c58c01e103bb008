//! Purchases of credit (spec B.14) and transfers of resources between installations (spec B.15 to B.17).
//!
//! Accept (B.17) has no body either way: 204. Should one come, ignore it and trust path and claim.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{InvoiceId, ResourceId, TransferClaimId};
use crate::wire::plan::BillingPlan;
use crate::wire::time;

/// Provision Purchase (spec B.14): the customer paid for credit. Read the invoice, credit it once per invoice
/// id, and answer [`super::Balances`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionPurchase {
    /// The invoice that was paid.
    pub invoice_id: InvoiceId,
}

/// Create Transfer Request (spec B.15), on the source's installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTransfer {
    /// What is to move.
    pub resource_ids: Vec<ResourceId>,
    /// Until when it can be accepted. Milliseconds since 1970 on the wire.
    #[serde(with = "time::milliseconds")]
    pub expires_at: Timestamp,
}

/// The answer to B.15.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferCreated {
    /// The claim, by the provider's own id; unique.
    pub provider_claim_id: TransferClaimId,
}

/// The answer to Verify (spec B.16), on the target's installation. (A guide prints `valid` and `billingPlan`
/// instead; the reference page is followed, and the two are ignored when read.)
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferVerified {
    /// The plan that the target needs, only where its present one is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_billing_plan: Option<BillingPlan>,
}

/// The older form of B.15, `PUT …/resource-transfer-requests/{transferId}`, answered 204. Its verify and accept
/// are POSTs; verify answers `{}`, a [`TransferVerified`] without a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutTransfer {
    /// Vercel's own id of the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<TransferClaimId>,
    /// What is to move.
    pub resource_ids: Vec<ResourceId>,
    /// Until when it can be accepted. Milliseconds since 1970 on the wire.
    #[serde(with = "time::milliseconds")]
    pub expiration: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_expires_at_a_number_of_milliseconds() {
        let json = r#"{"resourceIds":["r1","r2"],"expiresAt":1801461600123}"#;
        let create: CreateTransfer = serde_json::from_str(json).unwrap();
        assert_eq!(create.expires_at, "2027-02-01T06:00:00.123Z".parse().unwrap());
        assert_eq!(serde_json::to_string(&create).unwrap(), json);
        let put = r#"{"claimId":"c1","resourceIds":[],"expiration":1801461600123}"#;
        let read: PutTransfer = serde_json::from_str(put).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), put);
        for bad in [r#"{"resourceIds":["a/b"],"expiresAt":1}"#, r#"{"resourceIds":["r1"]}"#, r#"{"expiresAt":1}"#] {
            assert!(serde_json::from_str::<CreateTransfer>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_other_bodies_are_the_spec_s() {
        let purchase: ProvisionPurchase = serde_json::from_str(r#"{"invoiceId":"mi_1","more":1}"#).unwrap();
        assert_eq!(serde_json::to_string(&purchase).unwrap(), r#"{"invoiceId":"mi_1"}"#);
        let created: TransferCreated = serde_json::from_str(r#"{"providerClaimId":"c1"}"#).unwrap();
        assert_eq!(serde_json::to_string(&created).unwrap(), r#"{"providerClaimId":"c1"}"#);
        for enough in ["{}", r#"{"newBillingPlan":null}"#, r#"{"valid":true,"billingPlan":{"id":"p","cost":"$1"}}"#] {
            let verified: TransferVerified = serde_json::from_str(enough).unwrap();
            assert_eq!(verified, TransferVerified::default());
        }
        let plan = r#"{"newBillingPlan":{"id":"pro","type":"subscription","name":"Pro","description":"d","scope":"resource","paymentMethodRequired":true}}"#;
        let verified: TransferVerified = serde_json::from_str(plan).unwrap();
        assert_eq!(serde_json::to_string(&verified).unwrap(), plan);
    }
}
