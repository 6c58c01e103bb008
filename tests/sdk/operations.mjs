// Every marketplace operation of the SDK, with the combinations of optional fields that the schema allows.
//
// `calls` gets `call(when, request, check?, options?)`, which makes one call that must complete, and the world:
// `w.id` and `w.resource` are an installation and its resource, `w.simulator` plays the customer and the clock.
// The order matters: later operations use what earlier ones made. The first request of each operation is
// also what `refusals.mjs` has refused.

import * as billing from "./operations/billing.mjs";
import * as experimentation from "./operations/experimentation.mjs";
import * as installations from "./operations/installations.mjs";
import * as resources from "./operations/resources.mjs";
import { PRODUCT } from "./provider.mjs";

/** How the SDK ends the names of the three operations of A.22. */
export const CONFIG = "InstallationsByIntegrationConfigurationIdResourcesByResourceIdExperimentationGlobalConfig";

const ofProduct = { integrationProductIdOrSlug: PRODUCT };

export const OPERATIONS = [
  { spec: "A.1", method: "marketplace.updateInstallation", calls: installations.update },
  { spec: "A.3", method: "marketplace.getAccountInfo", calls: installations.account },
  { spec: "A.4", method: "marketplace.getMember", calls: installations.member },
  { spec: "A.7", method: "marketplace.createEvent", calls: installations.event },
  { spec: "A.10", method: "marketplace.importResource", calls: resources.put },
  { spec: "A.11", method: "marketplace.updateResource", calls: resources.patch },
  { spec: "A.9", method: "marketplace.getIntegrationResource", calls: resources.get },
  { spec: "A.8", method: "marketplace.getIntegrationResources", calls: resources.list },
  { spec: "A.18", method: "marketplace.updateResourceSecretsById", calls: resources.secrets({}) },
  { spec: "A.19", method: "marketplace.updateResourceSecrets", calls: resources.secrets(ofProduct) },
  { spec: "A.13", method: "marketplace.submitBillingData", calls: billing.interim },
  { spec: "A.17", method: "marketplace.submitPrepaymentBalances", calls: billing.balance },
  { spec: "A.14", method: "marketplace.submitInvoice", calls: billing.submit },
  { spec: "A.16", method: "marketplace.updateInvoice", calls: billing.refund },
  { spec: "A.15", method: "marketplace.getInvoice", calls: billing.get },
  { spec: "A.20", method: "marketplace.exchangeSsoToken", calls: installations.signOn },
  { spec: "A.20", method: "authentication.exchangeSsoToken", calls: installations.signOn },
  {
    spec: "A.21",
    method: "marketplace.createInstallationIntegrationConfiguration",
    calls: experimentation.createItems,
  },
  { spec: "A.21", method: "marketplace.updateInstallationIntegrationConfiguration", calls: experimentation.updateItem },
  { spec: "A.21", method: "marketplace.deleteInstallationIntegrationConfiguration", calls: experimentation.removeItem },
  { spec: "A.22", method: `marketplace.replace${CONFIG}`, calls: experimentation.putConfig },
  { spec: "A.22", method: `marketplace.get${CONFIG}`, calls: experimentation.getConfig },
  { spec: "A.22", method: `marketplace.head${CONFIG}`, calls: experimentation.headConfig },
  { spec: "A.23", method: "deployments.updateIntegrationDeploymentAction", calls: resources.act },
  { spec: "A.23", method: "integrations.connectIntegrationResourceToProject", calls: resources.connect },
  { spec: "A.5", method: "marketplace.rotateInstallationCredential", calls: installations.rotate },
  { spec: "A.6", method: "marketplace.revokeInstallationCredential", calls: installations.revoke },
  { spec: "A.12", method: "marketplace.deleteIntegrationResource", calls: resources.remove },
  { spec: "A.2", method: "marketplace.finalizeInstallation", calls: installations.finalize },
];
