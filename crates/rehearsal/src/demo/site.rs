//! Where a month is played: what the player and the judge reach, whatever process it is in.

use tradepost_marketplace::http_door::HttpDoor;
use tradepost_store::Store;

use crate::control::Control;
use crate::local::Local;
use crate::provisioner::DemoProvisioner;

/// What a month needs around it.
#[derive(Clone)]
pub struct Site {
    /// Where partner systems and browsers find the provider.
    pub provider_url: String,
    /// Vercel's side: customers and the clock.
    pub control: Control,
    /// The network.
    pub http: HttpDoor,
    /// The table, for looking.
    pub bare: Store,
    /// The provider's product.
    pub provisioner: DemoProvisioner,
}

impl Site {
    /// Everything in this process.
    pub fn of(local: &Local) -> Self {
        Self {
            provider_url: local.provider_url.clone(),
            control: local.control.clone(),
            http: local.http.clone(),
            bare: local.bare.clone(),
            provisioner: local.provisioner.clone(),
        }
    }
}
