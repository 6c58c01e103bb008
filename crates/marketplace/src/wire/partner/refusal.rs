//! How a provider refuses (spec B, "Error response").

use serde::{Deserialize, Serialize};

use super::or_default;

/// The one code that makes Vercel show [`ErrorBody::fields`] in its form; goes with 400.
pub const VALIDATION_ERROR: &str = "validation_error";

/// The envelope of every refusal by a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code, an open set; [`VALIDATION_ERROR`] is special.
    pub code: String,
    /// For logs.
    pub message: String,
    /// For the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserMessage>,
    /// Which fields of the form are wrong; only with 400.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

impl ErrorBody {
    /// A code and a message for logs.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), user: None, fields: Vec::new() }
    }

    /// Puts it into its envelope.
    pub fn into_envelope(self) -> ErrorEnvelope {
        ErrorEnvelope { error: self }
    }
}

/// What the customer is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMessage {
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where there is help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One wrong field of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name in the metadata.
    pub key: String,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_written_as_the_spec_has_it_and_read_back() {
        let mut error = ErrorBody::new(VALIDATION_ERROR, "bad region");
        error.fields.push(FieldError { key: "region".to_owned(), message: Some("Invalid region".to_owned()) });
        error.user = Some(UserMessage { message: Some("Choose another".to_owned()), url: None });
        let envelope = error.into_envelope();
        let json = serde_json::to_string(&envelope).unwrap();
        assert_eq!(
            json,
            r#"{"error":{"code":"validation_error","message":"bad region","user":{"message":"Choose another"},"fields":[{"key":"region","message":"Invalid region"}]}}"#
        );
        assert_eq!(serde_json::from_str::<ErrorEnvelope>(&json).unwrap(), envelope);
        let least = r#"{"error":{"code":"conflict","message":"","user":null,"fields":null,"more":1}}"#;
        let least: ErrorEnvelope = serde_json::from_str(least).unwrap();
        assert_eq!(serde_json::to_string(&least).unwrap(), r#"{"error":{"code":"conflict","message":""}}"#);
    }
}
