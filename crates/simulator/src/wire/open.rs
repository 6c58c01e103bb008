//! Open objects: whatever they hold is kept with its digits, sorted by key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use super::part;
use crate::json::sorted;
use crate::rules::PLAN;

/// An object of anything. Never a `serde_json::Value`, which would put numbers through a float.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Open(BTreeMap<String, Box<RawValue>>);

impl Open {
    /// The value of a key, read as a text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, raw)| (key.as_str(), &**raw))
    }
}

impl<'de> Deserialize<'de> for Open {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, Box<RawValue>>::deserialize(from)?;
        let tidy = |(key, raw): (String, Box<RawValue>)| Ok((key, sorted(&raw, &[])?));
        fields.into_iter().map(tidy).collect::<Result<_, serde_json::Error>>().map(Self).map_err(de::Error::custom)
    }
}

/// `{ label, value? }` of a plan, closed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    #[serde(rename = "label")]
    _label: String,
    #[serde(default, rename = "value", deserialize_with = "crate::json::present")]
    _value: Option<String>,
}

/// The fields of `VercelSidePlan` that have a type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    id: String,
    #[serde(rename = "type")]
    kind: PlanType,
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "description", deserialize_with = "crate::json::present")]
    _description: Option<String>,
    #[serde(default, rename = "paymentMethodRequired", deserialize_with = "crate::json::present")]
    _payment_method_required: Option<bool>,
    #[serde(default, rename = "cost", deserialize_with = "crate::json::present")]
    _cost: Option<String>,
    #[serde(default, rename = "details", deserialize_with = "crate::json::present")]
    _details: Option<Vec<Detail>>,
    #[serde(default, rename = "highlightedDetails", deserialize_with = "crate::json::present")]
    _highlighted_details: Option<Vec<Detail>>,
    #[serde(default, deserialize_with = "crate::json::present")]
    effective_date: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlanType {
    Prepayment,
    Subscription,
}

/// `VercelSidePlan` of spec A: open, but its known fields have types.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    id: String,
    kind: PlanType,
    effective: Option<Timestamp>,
    fields: Open,
}

impl Plan {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// `prepayment` or `subscription`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            PlanType::Prepayment => "prepayment",
            PlanType::Subscription => "subscription",
        }
    }

    pub(crate) fn effective(&self) -> Option<Timestamp> {
        self.effective
    }

    /// A field that the provider's plans have (spec B, `BillingPlan`), read as a text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.fields.text(key)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let read = || {
            let known: Known = serde_json::from_str(raw.get())?;
            let effective = known.effective_date.and_then(|text| text.parse().ok());
            Ok(Self { id: known.id, kind: known.kind, effective, fields: serde_json::from_str(raw.get())? })
        };
        read().map_err(|error: serde_json::Error| part(PLAN, error))
    }
}

/// `protocolSettings` of a resource, as far as they are documented (spec A.8, B.6).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProtocolSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) experimentation: Option<Experimentation>,
}

/// What the customer chose about config sync (spec A.22): an id is there once syncing is wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Experimentation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) edge_config_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) edge_config_syncing_enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) edge_config_token_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) global_config_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) global_config_syncing_enabled: Option<bool>,
}

impl ProtocolSettings {
    /// These settings, and what they do not say as it was before.
    pub(crate) fn over(self, before: Option<&Self>) -> Self {
        let old = before.and_then(|it| it.experimentation.clone());
        let experimentation = match (self.experimentation, old) {
            (Some(new), Some(old)) => Some(Experimentation {
                edge_config_id: new.edge_config_id.or(old.edge_config_id),
                edge_config_syncing_enabled: new.edge_config_syncing_enabled.or(old.edge_config_syncing_enabled),
                edge_config_token_id: new.edge_config_token_id.or(old.edge_config_token_id),
                global_config_id: new.global_config_id.or(old.global_config_id),
                global_config_syncing_enabled: new.global_config_syncing_enabled.or(old.global_config_syncing_enabled),
            }),
            (new, old) => new.or(old),
        };
        Self { experimentation }
    }

    /// Whether a config may be read and written: the customer gave one, and nobody turned syncing off.
    pub(crate) fn is_syncing(&self) -> bool {
        let Some(it) = &self.experimentation else { return false };
        let is_off = [it.edge_config_syncing_enabled, it.global_config_syncing_enabled].contains(&Some(false));
        (it.edge_config_id.is_some() || it.global_config_id.is_some()) && !is_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> ProtocolSettings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_open_object_keeps_its_digits_and_is_sorted() {
        let text = "{ \"b\": [1.10,\n 1e400, {\"z\": null, \"a\": 0.30}], \"a\": 12345678901234567890.0 }";
        let open: Open = serde_json::from_str(text).unwrap();
        let wanted = r#"{"a":12345678901234567890.0,"b":[1.10,1e400,{"a":0.30,"z":null}]}"#;
        assert_eq!(serde_json::to_string(&open).unwrap(), wanted);
    }

    #[test]
    fn a_plan_is_open_but_its_known_fields_are_typed() {
        let good = r#"{"id":"p","type":"prepayment","name":"n","x":{"y":1.50},"details":[{"label":"l","value":"v"}],"minimumAmount":"5.00"}"#;
        let plan: Plan = serde_json::from_str(good).unwrap();
        assert_eq!((plan.kind(), plan.text("minimumAmount").as_deref()), ("prepayment", Some("5.00")));
        assert!(serde_json::to_string(&plan).unwrap().contains("1.50"));
        for (from, to) in [
            ("prepayment", "free"),
            ("\"name\":\"n\",", ""),
            ("\"n\",", "1,"),
            ("\"label\":\"l\",", ""),
            ("\"v\"", "\"v\",\"w\":1"),
            ("\"v\"", "null"),
        ] {
            assert!(serde_json::from_str::<Plan>(&good.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn syncing_is_the_customers_choice_until_someone_turns_it_off() {
        let chosen = settings(r#"{"experimentation":{"edgeConfigId":"ecfg_1"}}"#);
        assert!(chosen.is_syncing() && !ProtocolSettings::default().is_syncing());
        assert!(!settings(r#"{"experimentation":{"edgeConfigSyncingEnabled":true}}"#).is_syncing());
        let off = settings(r#"{"experimentation":{"edgeConfigSyncingEnabled":false}}"#).over(Some(&chosen));
        assert!(!off.is_syncing() && off.experimentation.as_ref().unwrap().edge_config_id.is_some());
        assert!(ProtocolSettings::default().over(Some(&chosen)).is_syncing());
    }
}
