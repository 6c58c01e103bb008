//! The functions, the concerns of configuration, and which function has which: the whole table of needs.

use std::fmt;

/// One deployable binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// The Partner API.
    Installations,
    /// Sign-on.
    Sso,
    /// Vercel's webhooks.
    Webhooks,
    /// Event dispatch.
    Events,
    /// Metering.
    Usage,
    /// The hourly push.
    Billing,
    /// Invoices.
    Invoices,
    /// Rotation.
    Secrets,
    /// The sweeper.
    Outbox,
}

/// What is configured together, because it is used together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// What the process itself needs: logs, port, deadline.
    Runtime,
    /// The table, and who we are there.
    Store,
    /// Opens and seals what is secret at rest: tokens, resource secrets.
    Keys,
    /// Vercel's API is called.
    Vercel,
    /// Vercel's tokens are verified.
    Tokens,
    /// A person is signed in: the code's exchange, the dashboard.
    SignOn,
    /// Vercel's webhooks are verified.
    Webhooks,
    /// Partner systems' signatures are verified.
    Partners,
    /// The scheduler is let in.
    Cron,
    /// The provisioner is called.
    Provisioner,
    /// Products, plans and prices are looked up.
    Catalog,
}

impl Function {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Installations,
        Self::Sso,
        Self::Webhooks,
        Self::Events,
        Self::Usage,
        Self::Billing,
        Self::Invoices,
        Self::Secrets,
        Self::Outbox,
    ];

    /// The name of the binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Installations => "installations",
            Self::Sso => "sso",
            Self::Webhooks => "webhooks",
            Self::Events => "events",
            Self::Usage => "usage",
            Self::Billing => "billing",
            Self::Invoices => "invoices",
            Self::Secrets => "secrets",
            Self::Outbox => "outbox",
        }
    }

    /// The function of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    /// What it needs beyond [`Concern::Runtime`] and [`Concern::Store`], which every function does.
    ///
    /// Effects are delivered at once by whoever commits them, in the lane that they wait in: so a function needs
    /// what every effect of the lanes that it writes to needs, not only its own. The one exception is the
    /// provisioner for `events`: the revocation that may wait before a report's secrets is left to the sweeper.
    const fn own(self) -> &'static [Concern] {
        use Concern::{Catalog, Cron, Keys, Partners, Provisioner, SignOn, Tokens, Vercel, Webhooks};
        match self {
            Self::Installations => &[Tokens, Keys, Vercel, Provisioner, Catalog],
            Self::Sso => &[Tokens, SignOn, Vercel, Partners, Catalog],
            Self::Webhooks => &[Webhooks, Keys, Vercel],
            Self::Events => &[Partners, Keys, Vercel, Catalog],
            Self::Usage => &[Partners, Catalog],
            Self::Billing => &[Cron, Keys, Vercel, Catalog],
            Self::Invoices => &[Partners, Cron, Keys, Vercel, Catalog],
            Self::Secrets => &[Partners, Cron, Keys, Vercel, Provisioner, Catalog],
            Self::Outbox => &[Cron, Keys, Vercel, Provisioner, Catalog],
        }
    }

    /// Whether it needs this.
    pub fn needs(self, concern: Concern) -> bool {
        matches!(concern, Concern::Runtime | Concern::Store) || self.own().contains(&concern)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Concern {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::Runtime,
        Self::Store,
        Self::Keys,
        Self::Vercel,
        Self::Tokens,
        Self::SignOn,
        Self::Webhooks,
        Self::Partners,
        Self::Cron,
        Self::Provisioner,
        Self::Catalog,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_its_name() {
        for function in Function::ALL {
            assert_eq!(Function::parse(function.name()), Some(function));
            assert!(function.needs(Concern::Store) && function.needs(Concern::Runtime));
        }
        assert_eq!(Function::parse("Billing"), None);
    }
}
