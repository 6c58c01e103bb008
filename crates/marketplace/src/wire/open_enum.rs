//! Enumerations that Vercel may extend: an unknown value is kept as it came, never an error.
//!
//! Where one goes into a request of ours, [`known`] writes it: only what Vercel's schema lists leaves this side.

/// An enumeration that may hold a value which this version does not know.
pub(crate) trait OpenEnum: serde::Serialize {
    /// The value, if it is not known.
    fn unknown(&self) -> Option<&str>;
}

macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(| $also:literal)*,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The value as it goes over the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl $crate::wire::OpenEnum for $name {
            fn unknown(&self) -> Option<&str> {
                if let Self::Other(text) = self { Some(text) } else { None }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text $(| $also)* => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                Ok(Self::from(text.as_str()))
            }
        }
    };
}

pub(crate) use open_enum;

/// Writes a value that the schema lists, and refuses any other. `#[serde(serialize_with = "known")]`.
pub(super) fn known<T: OpenEnum, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    if let Some(text) = value.unknown() {
        let error = format!("{text:?} is not a value that Vercel's schema lists: it would be refused (spec A)");
        return Err(serde::ser::Error::custom(error));
    }
    value.serialize(to)
}

/// The same for an option.
#[allow(clippy::ref_option, reason = "the signature serde asks for")]
pub(super) fn known_or_none<T: OpenEnum, S: serde::Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => known(value, to),
        None => to.serialize_none(),
    }
}
