//! The plan of a rotation, whoever asks for it.

use super::{Plan, Planned};
use crate::edge::ApiError;
use crate::provisioner::Kind;
use crate::state::segments::must_be_live;
use crate::state::{Installation, Intent, Origin, Resource};

/// New secrets; the old ones stay good for a while.
pub(crate) struct Rotate {
    /// Who.
    pub(crate) origin: Origin,
    /// How long the old secrets stay good.
    pub(crate) grace_seconds: Option<u64>,
}

impl Plan for Rotate {
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        if !installation.is_active() {
            return Err(ApiError::conflict("the installation was uninstalled"));
        }
        let resource = must_be_live(resource)?;
        let intent = Intent { grace_seconds: self.grace_seconds, ..Intent::of(Kind::Rotate, self.origin) };
        Ok(Planned::Go(Box::new(resource.clone()), intent))
    }
}
