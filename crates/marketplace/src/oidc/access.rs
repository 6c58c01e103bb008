//! What a good token lets its bearer do: role, kind of caller, installation (spec B, the Auth column; spec C).

use super::claims::{Claims, Role, SystemClaims, UserClaims};
use crate::ids::InstallationId;

/// Why a good token does not let its bearer in: 403, where a bad token is 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// A person without the role [`Role::Admin`], whatever the role is.
    #[error("this needs the role ADMIN")]
    NotAdmin,
    /// The system, where a person must act.
    #[error("this needs a person's token")]
    NotAUser,
    /// A person, where only Vercel itself may act.
    #[error("this needs a system token")]
    NotSystem,
    /// Another installation than the path's. Say it whether or not the path's exists.
    #[error("the token belongs to another installation")]
    OtherInstallation,
    /// No installation at all: good for product plans (B.5) only. Vercel's schema is looser; this fails closed.
    #[error("the token belongs to no installation")]
    NoInstallation,
}

impl UserClaims {
    /// Whether the person may install, provision and change.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

impl Claims {
    /// A person who may change things.
    pub fn require_admin(&self) -> Result<&UserClaims, Forbidden> {
        match self {
            Self::User(user) if user.is_admin() => Ok(user),
            Self::User(_) => Err(Forbidden::NotAdmin),
            Self::System(_) => Err(Forbidden::NotAUser),
        }
    }

    /// Vercel itself.
    pub const fn require_system(&self) -> Result<&SystemClaims, Forbidden> {
        match self {
            Self::System(system) => Ok(system),
            Self::User(_) => Err(Forbidden::NotSystem),
        }
    }

    /// Either of the two.
    pub fn require_admin_or_system(&self) -> Result<(), Forbidden> {
        match self {
            Self::System(_) => Ok(()),
            Self::User(_) => self.require_admin().map(|_| ()),
        }
    }

    /// The installation of a path, which must be the token's own.
    pub fn require_installation(&self, path: &str) -> Result<&InstallationId, Forbidden> {
        let claimed = self.installation_id().ok_or(Forbidden::NoInstallation)?;
        if claimed.as_str() == path { Ok(claimed) } else { Err(Forbidden::OtherInstallation) }
    }
}
