//! The rules of Vercel's face, in one list. A refusal is built from one of them, and its message begins
//! with the rule's id; `tests/simulator/table.rs` breaks each of them once, and `docs/simulator-rules.md` is
//! this list, checked by the same test.
//!
//! An id names its source: `spec A.13` and so on is the protocol reference (`docs/protocol.md`), `simulator` a
//! limit of this program and no rule of Vercel's.

use std::fmt;

use http::StatusCode;

use crate::refusal::Refusal;

/// One rule, and the status of whoever breaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What every refusal by this rule begins with. No id is the beginning of another.
    pub id: &'static str,
    /// The HTTP status of the refusal.
    pub status: u16,
}

impl Rule {
    /// Refuses; the rule says it all.
    pub(crate) fn refuse(self) -> Refusal {
        Refusal::by(self, self.id.to_owned())
    }

    /// Refuses, and says what about this call breaks the rule.
    pub(crate) fn because(self, what: impl fmt::Display) -> Refusal {
        Refusal::by(self, format!("{}: {what}", self.id))
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The rule that a text begins with.
    pub(crate) fn named_in(text: &str) -> Option<Self> {
        RULES.iter().find(|rule| text.starts_with(rule.id)).copied()
    }
}

macro_rules! rules {
    ($($name:ident = $status:literal $id:literal;)*) => {
        $(pub(crate) const $name: Rule = Rule { id: $id, status: $status };)*
        /// Every rule of Vercel's face, in the order of the reference.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    NO_PATH = 404 "spec A: there is no such path";
    NO_METHOD = 405 "spec A: the path does not take this method";
    NO_BEARER = 401 "spec A: the call has no bearer token";
    UNKNOWN_BEARER = 401 "spec A: the bearer token is unknown";
    REVOKED_BEARER = 401 "spec A.6: the bearer token is revoked";
    FOREIGN_BEARER = 403 "spec A: the bearer token is another installation's";
    FINALIZED = 410 "spec F: the installation is finalized and its token is dead";
    NO_RESOURCE = 404 "spec A: the installation has no such resource";
    DECIMAL = 400 r"spec A, Decimal: a decimal string matches ^[0-9]+(\.[0-9]+)?$";
    DATETIME = 400 "spec A: a time is an RFC 3339 date-time";
    PLAN = 400 "spec A, VercelSidePlan: the billing plan is not as documented";
    HREF = 400 "spec A, Notification: a link matches ^https?://|^sso:";
    SECRET_NAME = 422 "spec A, Secret: a name is empty";
    SECRET_TWICE = 422 "spec A, Secret: a name is there twice";

    A1_BODY = 400 "spec A.1: the body is not as documented";
    A2_NOT_UNINSTALLING = 409 "spec A.2: the installation is not being uninstalled";
    A2_DECLARED = 409 "spec A.2: the provider declared that no more invoices will come";
    A4_MEMBER = 404 "spec A.4: the installation has no such member";
    A5_BODY = 400 "spec A.5: the body is not as documented";
    A5_CLIENT = 403 "spec A.5: client_id or client_secret is wrong";
    A5_MANY = 409 "spec A.5: 100 credentials are alive, revoke some first";
    A6_BODY = 400 "spec A.6: the body is not as documented";
    A6_CLIENT = 403 "spec A.6: client_id or client_secret is wrong";
    A6_TOKEN = 400 "spec A.6: the token is none of this installation's";
    A6_LAST = 409 "spec A.6: the last live credential cannot be revoked";
    A7_BODY = 400 "spec A.7: the body is not as documented";
    A7_TYPE = 400 "spec A.7: the only types are installation.updated and resource.updated";
    A7_FIELDS = 400 "spec A.7: the fields do not go with the event's type";
    A7_RESOURCE = 404 "spec A.7: Vercel knows no such resource in this installation";
    A10_BODY = 400 "spec A.10: the body is not as documented";
    A10_ID = 400 "spec A.10: the resource id is not 1 to 256 printable ASCII characters without # / ? %";
    A10_PRODUCT = 409 "spec A.10: the resource is of another product";
    A10_DELETED = 409 "spec A.10: the resource was deleted, its id is not used again";
    A10_UNINSTALLING = 409 "spec A.10: the installation is being uninstalled, it takes no resource";
    A11_BODY = 400 "spec A.11: the body is not as documented";
    A13_BODY = 400 "spec A.13: the body is not as documented";
    A13_PERIOD = 400 "spec A.13: period.start is not before period.end";
    A13_EOD = 400 "spec A.13: eod is not within the period";
    A13_EOD_OLD = 400 "spec A.13: eod is older than 24 h";
    A13_END_OLD = 400 "spec A.13: period.end is older than 24 h";
    A14_BODY = 400 "spec A.14: the body is not as documented";
    A14_PERIOD = 400 "spec A.14: period.start is not before period.end";
    A14_DATE = 400 "spec A.14: invoiceDate is not within the period";
    A14_EXTERNAL_ID = 400 "spec A.14: externalId is empty or longer than 1024 characters";
    A14_CENTS = 400 "spec A.14: a total or discount has more than two decimals";
    A14_NEGATIVE = 400 "spec A.14: the discounts are more than the items, and a total is not negative";
    A14_FINAL = 400 "spec A.14: final is allowed only while the installation is being uninstalled";
    A14_RULE_1 = 409 "spec A.14 rule 1: the resource is billed already for this plan and period";
    A14_RULE_2 = 400 "spec A.14 rule 2: the plan was not active in the period";
    A14_RULE_3 = 400 "spec A.14 rule 3: the plan is not a subscription";
    A14_RULE_5 = 409 "spec A.14 rule 5: the externalId is already used";
    A14_WINDOW = 409 "spec F: the 24 h window for final invoices is over";
    A14_LINKED = 400 "spec D.6: a linked resource is not billed through Vercel";
    A15_INVOICE = 404 "spec A.15: the installation has no such invoice";
    A16_BODY = 400 "spec A.16: the body is not as documented";
    A16_INVOICE = 404 "spec A.16: the installation has no such invoice";
    A16_ACTION = 400 "spec A.16: the only action is refund";
    A16_REASON = 400 "spec A.16: a refund needs a reason, of at most 1024 characters";
    A16_CENTS = 400 "spec A.16: total has more than two decimals";
    A16_TOTAL = 400 "spec A.16: the refunds are more than the invoice's total";
    A16_REQUESTED = 409 "spec A.16: a refund of this invoice is already requested";
    A17_BODY = 400 "spec A.17: the body is not as documented";
    A18_BODY = 400 "spec A.18: the body is not as documented";
    A19_BODY = 400 "spec A.19: the body is not as documented";
    A19_PRODUCT = 404 "spec A.19: the resource is not of that product";
    A20_BODY = 400 "spec A.20: the body is not as documented";
    A20_GRANT = 400 "spec A.20: grant_type is authorization_code or refresh_token";
    A20_CLIENT = 403 "spec A.20: client_id or client_secret is wrong";
    A20_CODE = 400 "spec A.20: the code is unknown";
    A20_USED = 400 "spec A.20: the code was used already";
    A20_EXPIRED = 400 "spec A.20: the code has expired";
    A20_STATE = 400 "spec A.20: the state is not the one that came with the code";
    A20_REFRESH = 400 "spec A.20: the refresh token is unknown";
    A20_REFRESH_EXPIRED = 400 "spec A.20: the refresh token has expired";
    A20_GONE = 400 "spec A.20: the installation is finalized";
    A21_BODY = 400 "spec A.21: the body is not as documented";
    A21_MANY = 400 "spec A.21: a batch has more than 50 items";
    A21_LONG = 400 "spec A.21: a text is longer than allowed";
    A21_ITEM = 404 "spec A.21: the resource has no such item";
    A22_BODY = 400 "spec A.22: the body is not as documented";
    A22_NOT_READ = 404 "spec A.22: the customer has not enabled syncing, there is nothing to read";
    A22_NOT_WRITTEN = 409 "spec A.22: the customer has not enabled syncing, nothing can be written";
    A22_MATCH = 412 "spec A.22: If-Match is not the digest of what is there";
    A23_BODY = 400 "spec A.23: the body is not as documented";
    A23_KIND = 400 "spec A.23: the only kind of outcome is resource-secrets";
    A23_CONNECTION = 400 "spec A.23, connections: the body is not as documented";
    A23_PROJECT = 400 "spec A.23, connections: projectId is empty";

    LIMIT_BODY = 413 "simulator: a body has at most 1048576 bytes";
    LIMIT_LIST = 400 "simulator: a list has at most 10000 entries";
    LIMIT_ROWS = 429 "simulator: an installation has at most 10000 rows of a kind";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{LIVE_CREDENTIALS_MAX, TEXT_CHARS_MAX};
    use crate::model::ROWS_EACH_MAX;
    use crate::serve::BODY_BYTES_MAX;
    use crate::wire::LIST_ITEMS_MAX;

    #[test]
    fn no_id_is_the_beginning_of_another() {
        for (n, rule) in RULES.iter().enumerate() {
            let clash = RULES.iter().enumerate().find(|(m, other)| *m != n && other.id.starts_with(rule.id));
            assert_eq!(clash, None, "{}", rule.id);
            assert_ne!(rule.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    #[test]
    fn limits_are_named_as_they_are() {
        for (rule, limit) in [
            (LIMIT_BODY, BODY_BYTES_MAX),
            (LIMIT_LIST, LIST_ITEMS_MAX),
            (LIMIT_ROWS, ROWS_EACH_MAX),
            (A5_MANY, LIVE_CREDENTIALS_MAX),
            (A14_EXTERNAL_ID, TEXT_CHARS_MAX),
            (A16_REASON, TEXT_CHARS_MAX),
        ] {
            assert!(rule.id.contains(&limit.to_string()), "{}", rule.id);
        }
    }
}
