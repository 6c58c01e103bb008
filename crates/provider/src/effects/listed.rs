//! Whether Vercel names a resource in its list (A.8): a second witness, where one answer alone is in doubt.

use tradepost_marketplace::client::{Client, ClientError};
use tradepost_marketplace::ids::ResourceId;

use crate::installed::OpenToken;

pub(super) async fn is_listed(vercel: &Client, token: &OpenToken, resource: &ResourceId) -> Result<bool, ClientError> {
    let listed = vercel.list_resources(&token.call()).await?;
    Ok(listed.resources.iter().any(|it| it.id == *resource))
}
