//! What is billed and measured (spec A, "Shared enums/shapes"; A.13, A.14, A.17).

use serde::{Deserialize, Serialize};

use super::{Datetime, Decimal, Number};

/// `LineItem` of spec A.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LineItem {
    pub(crate) billing_plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Datetime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Datetime>,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
    pub(crate) price: Decimal,
    pub(crate) quantity: Number,
    pub(crate) units: String,
    pub(crate) total: Decimal,
}

/// `Discount` of spec A.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Discount {
    pub(crate) billing_plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Datetime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Datetime>,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
    pub(crate) amount: Decimal,
}

/// `Usage` of spec A.13.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Usage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: UsageType,
    pub(crate) units: String,
    pub(crate) day_value: Number,
    pub(crate) period_value: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan_value: Option<Number>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UsageType {
    Total,
    Interval,
    Rate,
}

/// `Balance` of spec A.17.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Balance {
    pub(crate) currency_value_in_cents: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name_label: Option<String>,
}
