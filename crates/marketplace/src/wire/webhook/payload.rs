//! How payloads are read, and which installation they are about.

use serde::{Deserialize, Serialize};

use crate::ids::InstallationId;

/// A payload that has a type of its own.
pub(super) trait Payload: Sized + Serialize {
    /// Reads it; `None` where it does not say what it is about.
    fn read(json: &str) -> Result<Option<Self>, serde_json::Error>;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    configuration: Option<Configuration>,
    installation_id: Option<String>,
}

#[derive(Deserialize)]
struct Configuration {
    id: Option<InstallationId>,
}

/// Which installation a payload is about: `configuration.id`, as examples show an integration's id in
/// `installationId` (spec E).
pub(super) fn installation_of(json: &str) -> Result<Option<InstallationId>, serde_json::Error> {
    let Address { configuration, installation_id } = serde_json::from_str(json)?;
    let named = configuration.and_then(|configuration| configuration.id);
    let fallback = || installation_id.filter(|id| id.starts_with("icfg_"));
    Ok(named.or_else(|| fallback().and_then(|id| InstallationId::new(id).ok())))
}

/// A payload with `configuration.id` and `installationId`, which are one field, and what `$body` holds.
///
/// Not serde's `flatten`, which buffers, and a buffered amount has lost its text.
macro_rules! addressed {
    (
        #[doc = $doc:literal] #[derive($($derive:ident),+)]
        $name:ident as $body:ident {
            $( #[doc = $field_doc:literal] $(#[serde($($serde:tt)+)])? $field:ident: $type:ty, )+
        }
    ) => {
        #[doc = $doc]
        #[derive($($derive),+)]
        pub struct $name {
            /// Whose.
            pub installation_id: InstallationId,
            $( #[doc = $field_doc] pub $field: $type, )+
        }

        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct $body {
            #[serde(skip_deserializing, with = "super::id_of::optional")]
            configuration: Option<InstallationId>,
            #[serde(skip_deserializing)]
            installation_id: Option<InstallationId>,
            $( $(#[serde($($serde)+)])? $field: $type, )+
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let id = Some(self.installation_id.clone());
                let body = $body { configuration: id.clone(), installation_id: id, $( $field: self.$field.clone(), )+ };
                body.serialize(to)
            }
        }

        impl super::payload::Payload for $name {
            fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
                let Some(installation_id) = super::payload::installation_of(json)? else { return Ok(None) };
                let $body { $( $field, )+ .. } = serde_json::from_str(json)?;
                Ok(Some(Self { installation_id, $( $field, )+ }))
            }
        }
    };
}

pub(super) use addressed;
