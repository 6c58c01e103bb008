//! Every operation of Vercel's API that the client has (spec A), as data.
//!
//! The client takes method, path and class from here, logs name the operations by it, the README's table is checked
//! against it, and so is Vercel's own document.

use http::Method;

use super::retry::RetryClass;

/// One operation of Vercel's API.
#[derive(Debug)]
pub struct OperationInfo {
    /// Its name, in logs and in the README.
    pub name: &'static str,
    /// The method of [`super::Client`] that carries it out.
    pub function: &'static str,
    /// The paragraph of the protocol reference: `A.14`.
    pub spec: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, with Vercel's names of the parameters in braces.
    pub path: &'static str,
    /// What is repeated, and what a refusal of a repeat means.
    pub class: RetryClass,
    /// What happens when the answer is lost.
    pub when_lost: &'static str,
}

macro_rules! operations {
    ($($constant:ident = $name:literal, $function:literal, $spec:literal, $method:ident $path:literal,
        $class:ident, $when_lost:literal;)+) => {
        $(
            pub(super) static $constant: OperationInfo = OperationInfo {
                name: $name,
                function: $function,
                spec: $spec,
                method: Method::$method,
                path: $path,
                class: RetryClass::$class,
                when_lost: $when_lost,
            };
        )+

        /// All operations, in the order of the protocol reference.
        pub static OPERATIONS: &[&OperationInfo] = &[$(&$constant),+];
    };
}

operations! {
    UPDATE_INSTALLATION = "update_installation", "update_installation", "A.1",
        PATCH "/v1/installations/{integrationConfigurationId}",
        Repeatable, "sent again; the last write wins";
    FINALIZE_INSTALLATION = "finalize_installation", "finalize_installation", "A.2",
        POST "/v1/installations/{integrationConfigurationId}/billing/finalize",
        Last, "sent again; a refusal of the dead token is `MaybeDuplicate`, a 410 is `Gone`";
    ACCOUNT = "account", "account", "A.3",
        GET "/v1/installations/{integrationConfigurationId}/account",
        Repeatable, "read again";
    MEMBER = "member", "member", "A.4",
        GET "/v1/installations/{integrationConfigurationId}/member/{memberId}",
        Repeatable, "read again";
    ROTATE_CREDENTIAL = "rotate_credential", "rotate_credential", "A.5",
        POST "/v1/installations/{integrationConfigurationId}/credentials/rotate",
        Never, "`NoAnswer`: the old token still works, a new one that nobody knows may live; rotate again";
    REVOKE_CREDENTIAL = "revoke_credential", "revoke_credential", "A.6",
        POST "/v1/installations/{integrationConfigurationId}/credentials/revoke",
        Repeatable, "sent again; `alreadyRevoked` says that the first counted";
    CREATE_EVENT = "create_event", "create_event", "A.7",
        POST "/v1/installations/{integrationConfigurationId}/events",
        Repeatable, "sent again; at worst Vercel reads twice";
    LIST_RESOURCES = "list_resources", "list_resources", "A.8",
        GET "/v1/installations/{integrationConfigurationId}/resources",
        Repeatable, "read again";
    GET_RESOURCE = "get_resource", "get_resource", "A.9",
        GET "/v1/installations/{integrationConfigurationId}/resources/{resourceId}",
        Repeatable, "read again";
    IMPORT_RESOURCE = "import_resource", "import_resource", "A.10",
        PUT "/v1/installations/{integrationConfigurationId}/resources/{resourceId}",
        Repeatable, "sent again; it replaces what the first made";
    UPDATE_RESOURCE = "update_resource", "update_resource", "A.11",
        PATCH "/v1/installations/{integrationConfigurationId}/resources/{resourceId}",
        Repeatable, "sent again; the last write wins";
    DELETE_RESOURCE = "delete_resource", "delete_resource", "A.12",
        DELETE "/v1/installations/{integrationConfigurationId}/resources/{resourceId}",
        Removal, "sent again; then a 404 is `Removal::AlreadyGone`";
    SUBMIT_BILLING_DATA = "submit_billing_data", "submit_billing_data", "A.13",
        POST "/v1/installations/{integrationConfigurationId}/billing",
        Repeatable, "sent again; the latest timestamp wins";
    SUBMIT_INVOICE = "submit_invoice", "submit_invoice", "A.14",
        POST "/v1/installations/{integrationConfigurationId}/billing/invoices",
        ByExternalId, "sent again with the same id; then a 409 is `MaybeDuplicate`";
    GET_INVOICE = "get_invoice", "get_invoice", "A.15",
        GET "/v1/installations/{integrationConfigurationId}/billing/invoices/{invoiceId}",
        Repeatable, "read again";
    REFUND_INVOICE = "refund_invoice", "refund_invoice", "A.16",
        POST "/v1/installations/{integrationConfigurationId}/billing/invoices/{invoiceId}/actions",
        Never, "`NoAnswer`: read the invoice, compare `refundTotal`";
    SUBMIT_BALANCES = "submit_balances", "submit_balances", "A.17",
        POST "/v1/installations/{integrationConfigurationId}/billing/balance",
        Repeatable, "sent again; the latest timestamp wins";
    UPDATE_SECRETS = "update_secrets", "update_secrets", "A.18",
        PUT "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/secrets",
        Repeatable, "sent again; revoke the old values only after a success";
    UPDATE_SECRETS_BY_PRODUCT = "update_secrets_by_product", "update_secrets_by_product", "A.19",
        PUT "/v1/installations/{integrationConfigurationId}/products/{integrationProductIdOrSlug}/resources/{resourceId}/secrets",
        Repeatable, "as `update_secrets`, which replaces it";
    EXCHANGE_CODE = "exchange_code", "exchange_code", "A.20",
        POST "/v1/integrations/sso/token",
        Never, "`NoAnswer`: the person signs on again";
    REFRESH_TOKENS = "refresh_tokens", "refresh_tokens", "A.20",
        POST "/v1/integrations/sso/token",
        Never, "`NoAnswer`: the refresh token may be used up; the person signs on again";
    CREATE_ITEMS = "create_items", "create_items", "A.21",
        POST "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/items",
        ByExternalId, "sent again with the same ids; then a 409 is `MaybeDuplicate`";
    UPDATE_ITEM = "update_item", "update_item", "A.21",
        PATCH "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/items/{itemId}",
        Repeatable, "sent again; the last write wins";
    DELETE_ITEM = "delete_item", "delete_item", "A.21",
        DELETE "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/items/{itemId}",
        Removal, "sent again; then a 404 is `Removal::AlreadyGone`";
    GET_GLOBAL_CONFIG = "get_global_config", "get_config", "A.22",
        GET "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/global-config",
        Repeatable, "read again";
    HEAD_GLOBAL_CONFIG = "head_global_config", "head_config", "A.22",
        HEAD "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/global-config",
        Repeatable, "read again";
    PUT_GLOBAL_CONFIG = "put_global_config", "put_config", "A.22",
        PUT "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/global-config",
        Conditional, "sent again; then a 409 or 412 is `MaybeDuplicate`: read and compare";
    GET_EDGE_CONFIG = "get_edge_config", "get_config", "A.22",
        GET "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/edge-config",
        Repeatable, "read again";
    HEAD_EDGE_CONFIG = "head_edge_config", "head_config", "A.22",
        HEAD "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/edge-config",
        Repeatable, "read again";
    PUT_EDGE_CONFIG = "put_edge_config", "put_config", "A.22",
        PUT "/v1/installations/{integrationConfigurationId}/resources/{resourceId}/experimentation/edge-config",
        Conditional, "sent again; then a 409 or 412 is `MaybeDuplicate`: read and compare";
    UPDATE_DEPLOYMENT_ACTION = "update_deployment_action", "update_deployment_action", "A.23",
        PATCH "/v1/deployments/{deploymentId}/integrations/{integrationConfigurationId}/resources/{resourceId}/actions/{action}",
        Repeatable, "sent again; the last write wins";
    CONNECT_RESOURCE = "connect_resource_to_project", "connect_resource_to_project", "A.23",
        POST "/v1/integrations/installations/{integrationConfigurationId}/resources/{resourceId}/connections",
        Never, "`NoAnswer`: the `integration-resource.project-connected` webhook tells";
}

/// The name of the parameter that stands for the installation in Vercel's paths.
const INSTALLATION_PARAMETER: &str = "{integrationConfigurationId}";

impl OperationInfo {
    /// The path's segments, with `installation` and then `parameters`, in order, for what stands in braces. `None`
    /// unless they fit exactly.
    pub(super) fn segments<'a>(&self, installation: Option<&'a str>, parameters: &[&'a str]) -> Option<Vec<&'a str>>
    where
        Self: 'a,
    {
        let mut parameters = parameters.iter().copied();
        let mut segments = Vec::new();
        for segment in self.path.trim_start_matches('/').split('/') {
            segments.push(match segment {
                INSTALLATION_PARAMETER => installation?,
                parameter if parameter.starts_with('{') => parameters.next()?,
                literal => literal,
            });
        }
        parameters.next().is_none().then_some(segments)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_paths_are_filled_exactly() {
        let names: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        for operation in OPERATIONS {
            let count = operation.path.matches('{').count();
            let own = operation.path.matches(INSTALLATION_PARAMETER).count();
            let parameters = vec!["p"; count - own];
            let segments = operation.segments(Some("icfg"), &parameters).unwrap();
            assert_eq!(format!("/{}", segments.join("/")).matches('{').count(), 0);
            assert_eq!(segments.iter().filter(|segment| **segment == "icfg").count(), own, "{}", operation.name);
            assert!(operation.segments(Some("icfg"), &vec!["p"; count - own + 1]).is_none(), "{}", operation.name);
            assert!(parameters.is_empty() || operation.segments(Some("icfg"), &[]).is_none(), "{}", operation.name);
            assert!(own == 0 || operation.segments(None, &parameters).is_none(), "{}", operation.name);
        }
    }

    /// The document is the repository's: what is published of this crate alone does not have it.
    #[test]
    fn every_operation_of_vercels_document_is_here_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/protocol/marketplace.json");
        let document = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let mut theirs = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                theirs.insert((method.to_uppercase(), path.clone()));
            }
        }
        let ours: BTreeSet<_> =
            OPERATIONS.iter().map(|operation| (operation.method.to_string(), operation.path.to_owned())).collect();
        assert_eq!(ours, theirs);
    }
}
