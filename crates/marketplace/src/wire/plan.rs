//! Billing plans, as a provider describes them to Vercel (spec B, `BillingPlan`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time;
use crate::ids::PlanId;
use crate::money::{Decimal, Number};

/// How a plan is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// The customer buys credit ahead; Vercel makes and collects the invoices.
    Prepayment,
    /// The provider submits invoices.
    Subscription,
}

/// What a plan is a plan of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanScope {
    /// Of the whole installation.
    Installation,
    /// Of one resource; what a missing scope means.
    #[default]
    Resource,
}

/// One line of a plan's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDetail {
    /// What it is about.
    pub label: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A plan. `scope` and `paymentMethodRequired` are always written: since August 2026 Vercel takes a missing
/// scope for resource-level, and plan changes go to the wrong route (spec B, `BillingPlan`).
///
/// The same object serves where the provider sends a plan to Vercel (A.1, A.11): there it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingPlan {
    /// The provider's id.
    pub id: PlanId,
    /// How it is paid.
    #[serde(rename = "type")]
    pub kind: PlanKind,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// What it is a plan of.
    #[serde(default)]
    pub scope: PlanScope,
    /// Whether the customer needs a payment method; `false` only for what is completely free.
    #[serde(default = "required")]
    pub payment_method_required: bool,
    /// A test of the card at sign-up, neither charged nor held. A JSON number of dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preauthorization_amount: Option<Number>,
    /// What the provider will invoice at sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_charge: Option<Decimal>,
    /// The least credit that can be bought (prepayment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_amount: Option<Decimal>,
    /// The most credit that can be bought at once (prepayment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_amount: Option<Decimal>,
    /// The most credit that buys itself in a month (prepayment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_amount_auto_purchase_per_period: Option<Decimal>,
    /// The price as shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Lines of the description.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<PlanDetail>,
    /// The lines shown first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub highlighted_details: Vec<PlanDetail>,
    /// When a change to it takes effect, if not at once.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub effective_date: Option<Timestamp>,
    /// Shown, but cannot be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

const fn required() -> bool {
    true
}

impl BillingPlan {
    /// A resource-level plan with a payment method required and nothing optional.
    pub fn new(id: PlanId, kind: PlanKind, name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            id,
            kind,
            name: name.into(),
            description: description.into(),
            scope: PlanScope::Resource,
            payment_method_required: true,
            preauthorization_amount: None,
            initial_charge: None,
            minimum_amount: None,
            maximum_amount: None,
            maximum_amount_auto_purchase_per_period: None,
            cost: None,
            details: Vec::new(),
            highlighted_details: Vec::new(),
            effective_date: None,
            disabled: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;

    #[test]
    fn scope_and_payment_method_are_always_written() {
        let plan = BillingPlan::new(PlanId::new("pro").unwrap(), PlanKind::Subscription, "Pro", "For teams");
        assert_eq!(
            serde_json::to_string(&plan).unwrap(),
            r#"{"id":"pro","type":"subscription","name":"Pro","description":"For teams","scope":"resource","paymentMethodRequired":true}"#
        );
        let read: BillingPlan = serde_json::from_str(
            r#"{"id":"pro","type":"subscription","name":"Pro","description":"For teams","maxResources":3}"#,
        )
        .unwrap();
        assert_eq!(read, plan);
    }

    #[test]
    fn amounts_of_a_plan_keep_their_digits() {
        let json = r#"{"id":"p","type":"prepayment","name":"P","description":"","scope":"installation","paymentMethodRequired":false,"preauthorizationAmount":12.50,"initialCharge":"19.99","minimumAmount":"5.00","maximumAmount":"1000.00","maximumAmountAutoPurchasePerPeriod":"3000.00","cost":"$5/mo","details":[{"label":"a","value":"b"}],"highlightedDetails":[{"label":"c"}],"effectiveDate":"2027-02-01T00:00:00.000Z","disabled":true}"#;
        let plan: BillingPlan = serde_json::from_str(json).unwrap();
        assert_eq!(plan.preauthorization_amount.as_ref().map(Number::dollars), Some(Ok(Money::from_cents(1250))));
        assert_eq!(serde_json::to_string(&plan).unwrap(), json);
        let none: BillingPlan = serde_json::from_str(
            r#"{"id":"p","type":"subscription","name":"P","description":"","preauthorizationAmount":null}"#,
        )
        .unwrap();
        assert_eq!(none.preauthorization_amount, None);
    }
}
