//! The variables: which concern each belongs to, where it counts, what it is. The one list that start, `config
//! check`, `config example` and the documentation's table are made of.

use super::{Concern, Function, Platform};

/// Whether a function can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It cannot.
    Required,
    /// It can, or another variable stands in.
    Optional,
}

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Who reads it: every function with one of these.
    pub concerns: &'static [Concern],
    /// Where it counts.
    pub platforms: &'static [Platform],
    /// Where the platform sets it by itself.
    pub set_by: &'static [Platform],
    /// Whether it must be there, where it counts.
    pub presence: Presence,
    /// What it is, in the documentation's words.
    pub what: &'static str,
}

impl Variable {
    /// The variable of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.name == name)
    }

    /// Whether a function reads it on a platform.
    pub fn is_read_by(&self, function: Function, platform: Platform) -> bool {
        self.platforms.contains(&platform) && self.concerns.iter().any(|concern| function.needs(*concern))
    }
}

use Presence::{Optional, Required};

const EVERYWHERE: &[Platform] = &Platform::ALL;
const STANDARD: &[Platform] = &[Platform::Lambda, Platform::Localhost];
const LAMBDA: &[Platform] = &[Platform::Lambda];
const LOCALHOST: &[Platform] = &[Platform::Localhost];
const VERCEL: &[Platform] = &[Platform::Vercel];
/// Where the schedule is a public request.
const SCHEDULED_BY_REQUEST: &[Platform] = &[Platform::Vercel, Platform::Localhost];
const NOWHERE: &[Platform] = &[];

const fn row(
    name: &'static str,
    concerns: &'static [Concern],
    platforms: &'static [Platform],
    presence: Presence,
    what: &'static str,
) -> Variable {
    Variable { name, concerns, platforms, set_by: NOWHERE, presence, what }
}

/// All of them, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    row("TRADEPOST_TABLE", &[Concern::Store], EVERYWHERE, Required, "the DynamoDB table's name"),
    Variable {
        set_by: LAMBDA,
        ..row("AWS_REGION", &[Concern::Store], STANDARD, Required, "its region; `AWS_DEFAULT_REGION` stands in")
    },
    row("AWS_DEFAULT_REGION", &[Concern::Store], STANDARD, Optional, "its region, where `AWS_REGION` is not set"),
    Variable { set_by: LAMBDA, ..row("AWS_ACCESS_KEY_ID", &[Concern::Store], STANDARD, Required, "who we are at AWS") },
    Variable { set_by: LAMBDA, ..row("AWS_SECRET_ACCESS_KEY", &[Concern::Store], STANDARD, Required, "and its proof") },
    Variable {
        set_by: LAMBDA,
        ..row("AWS_SESSION_TOKEN", &[Concern::Store], STANDARD, Optional, "comes with temporary credentials")
    },
    row("AWS_ENDPOINT_URL_DYNAMODB", &[Concern::Store], STANDARD, Optional, "another DynamoDB: an emulator"),
    row("AWS_ENDPOINT_URL", &[Concern::Store], STANDARD, Optional, "the same, for all of AWS"),
    row("TRADEPOST_AWS_REGION", &[Concern::Store], VERCEL, Required, "the table's region"),
    row(
        "TRADEPOST_AWS_ROLE_ARN",
        &[Concern::Store],
        VERCEL,
        Required,
        "the role to take by web identity; or, in its place, the two keys below",
    ),
    row("TRADEPOST_AWS_ACCESS_KEY_ID", &[Concern::Store], VERCEL, Optional, "who we are at AWS, without a role"),
    row("TRADEPOST_AWS_SECRET_ACCESS_KEY", &[Concern::Store], VERCEL, Optional, "and its proof"),
    row(
        "TRADEPOST_AWS_ENDPOINT_URL",
        &[Concern::Store],
        VERCEL,
        Optional,
        "for tests: another DynamoDB; https, or plain http to loopback",
    ),
    row("TRADEPOST_AWS_ENDPOINT_URL_STS", &[Concern::Store], VERCEL, Optional, "for tests: who exchanges tokens"),
    row("AWS_ENDPOINT_URL_KMS", &[Concern::Keys], STANDARD, Optional, "another KMS"),
    row("TRADEPOST_AWS_ENDPOINT_URL_KMS", &[Concern::Keys], VERCEL, Optional, "for tests: another KMS"),
    row(
        "TRADEPOST_KEY_RING",
        &[Concern::Keys],
        EVERYWHERE,
        Required,
        "`kid:base64,kid2:base64`, 32-byte keys; the first encrypts, all decrypt",
    ),
    row(
        "TRADEPOST_SEALED_AS",
        &[Concern::Keys],
        EVERYWHERE,
        Optional,
        "the name of the table that values were encrypted for, where it is another: after a restore \
         ([operations.md](operations.md)); default: the table's name",
    ),
    row(
        "INTEGRATION_CLIENT_ID",
        &[Concern::Tokens, Concern::SignOn],
        EVERYWHERE,
        Required,
        "`oac_…`: the audience of Vercel's tokens",
    ),
    row(
        "INTEGRATION_CLIENT_SECRET",
        &[Concern::SignOn, Concern::Webhooks],
        EVERYWHERE,
        Required,
        "exchanges sign-on codes, verifies Vercel's webhooks",
    ),
    row(
        "INTEGRATION_CLIENT_SECRET_PREVIOUS",
        &[Concern::Webhooks],
        EVERYWHERE,
        Optional,
        "still accepted while it rotates",
    ),
    row(
        "CRON_SECRET",
        &[Concern::Cron],
        SCHEDULED_BY_REQUEST,
        Required,
        "the scheduler's bearer, 16 characters or more. On AWS the schedule event itself is the proof",
    ),
    row("CRON_SECRET_PREVIOUS", &[Concern::Cron], SCHEDULED_BY_REQUEST, Optional, "still accepted while it rotates"),
    row(
        "TRADEPOST_PARTNER_KEYS",
        &[Concern::Partners],
        EVERYWHERE,
        Required,
        "JSON: `[{\"id\":\"metering\",\"secrets\":[\"whsec_…\"],\"scopes\":[\"usage\"]}]`; two secrets while one rotates",
    ),
    row(
        "TRADEPOST_PROVISIONER_URL",
        &[Concern::Provisioner],
        EVERYWHERE,
        Required,
        "your own product, see [provisioner.md](provisioner.md)",
    ),
    row("TRADEPOST_PROVISIONER_SECRET", &[Concern::Provisioner], EVERYWHERE, Required, "`whsec_…`: signs what it gets"),
    row(
        "TRADEPOST_CATALOG",
        &[Concern::Catalog],
        EVERYWHERE,
        Optional,
        "the text of a `catalog.toml`; default: the demo's",
    ),
    row(
        "TRADEPOST_DASHBOARD_URL",
        &[Concern::SignOn],
        EVERYWHERE,
        Optional,
        "where a signed-in person goes on; default: the built-in page",
    ),
    row("VERCEL_API_URL", &[Concern::Vercel], EVERYWHERE, Optional, "another Vercel; https, or plain http to loopback"),
    row(
        "VERCEL_OIDC_ISSUER",
        &[Concern::Tokens],
        EVERYWHERE,
        Optional,
        "another issuer. Logged as a warning: whoever sets it decides who is let in",
    ),
    row(
        "TRADEPOST_DEADLINE_SECONDS",
        &[Concern::Runtime],
        EVERYWHERE,
        Optional,
        "how long a request may take, seconds, 20 to 900, default 25; on AWS over HTTP 29 at most, and a scheduled run has what its timeout leaves",
    ),
    row(
        "TRADEPOST_LOG",
        &[Concern::Runtime],
        EVERYWHERE,
        Optional,
        "levels, also by crate: `info,tradepost_provider=debug`; default `info`",
    ),
    row(
        "TRADEPOST_STACK",
        &[Concern::Runtime],
        EVERYWHERE,
        Optional,
        "on AWS the stack's name, under which metrics are counted ([logging.md](logging.md)); without it none are written",
    ),
    row("PORT", &[Concern::Runtime], LOCALHOST, Optional, "where a function listens on 127.0.0.1; default 3000"),
    Variable {
        set_by: VERCEL,
        ..row("VERCEL_DEV_PORT", &[Concern::Runtime], SCHEDULED_BY_REQUEST, Optional, "the same, as Vercel tells it")
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_variable_is_there_once_and_every_concern_has_one() {
        let names: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
        for concern in Concern::ALL {
            assert!(VARIABLES.iter().any(|variable| variable.concerns.contains(&concern)), "{concern:?}");
        }
        assert!(Variable::named("TRADEPOST_TABLE").is_some_and(|table| table.presence == Required));
    }
}
