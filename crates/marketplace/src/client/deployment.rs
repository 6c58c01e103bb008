//! Calls about deployments and projects (spec A.23).

use super::error::ClientError;
use super::send::Operation;
use super::{Call, Client, operations};
use crate::ids::{ActionId, DeploymentId, ResourceId};
use crate::wire::{ActionUpdate, Exposed, ProjectConnection};

impl Client {
    /// Update Deployment Action (spec A.23): how the provider's part in a deployment goes, and what came out of it.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent again; the last write wins.
    pub async fn update_deployment_action(
        &self,
        call: &Call<'_>,
        deployment: &DeploymentId,
        resource: &ResourceId,
        action: &ActionId,
        update: &ActionUpdate,
    ) -> Result<(), ClientError> {
        let parameters = [deployment.as_str(), resource.as_str(), action.as_str()];
        let operation = Operation::on(self, call, &operations::UPDATE_DEPLOYMENT_ACTION, &parameters)?;
        let operation = if update.outcomes.is_some() { operation.secretive() } else { operation };
        self.send(operation.with_body(&Exposed(update))?).await
    }

    /// Connect Resource to Project (spec A.23): its secrets become the project's environment variables.
    /// [`Never`](super::RetryClass::Never) repeated: no rule says that a second connection is the first. After a lost
    /// answer ([`ClientError::NoAnswer`]) the `integration-resource.project-connected` webhook tells.
    pub async fn connect_resource_to_project(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        connection: &ProjectConnection,
    ) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::CONNECT_RESOURCE, &[resource.as_str()])?;
        self.send(operation.with_body(connection)?).await
    }
}
