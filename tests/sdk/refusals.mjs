// Refusals: each must arrive as the SDK's error for refusals, with Vercel's status, code and message.
//
// First every operation is refused with what any operation may be refused with: by its token (real), and by
// statuses armed as faults. Then rules of spec A are broken, each once.

import assert from "node:assert/strict";
import { ConnectionError } from "@vercel/sdk/models/httpclienterrors.js";
import { CONFIG } from "./operations.mjs";
import { PLAN, PRODUCT } from "./provider.mjs";

/** The codes of spec G, and the simulator's for the statuses whose code is not documented. */
const CODES = {
  400: "bad_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  410: "gone",
  412: "precondition_failed",
  422: "unprocessable_entity",
  429: "rate_limited",
  500: "internal_server_error",
  503: "internal_server_error",
};

const ARMED = [400, 401, 403, 404, 409, 410, 422, 429, 500, 503];

/** What the token of a call can be wrong in. The token exchange has none. */
const TOKENS = [
  { status: 401, rule: "spec A: the bearer token is unknown", of: (w) => [w.id, "none"] },
  { status: 403, rule: "spec A: the bearer token is another installation's", of: (w) => [w.id, w.other.token] },
  { status: 410, rule: "spec F: the installation is finalized", of: (w) => [w.leaving.id, w.leaving.token] },
];

const ITEM = { billingPlanId: PLAN.id, name: "Hours", price: "1", quantity: 1, units: "h", total: "1.00" };
const SECRET = { name: "A", value: "a" };

/** The least body of an invoice. */
async function invoice(w, more) {
  const h = await w.simulator.hours();
  return w.of({ invoiceDate: h(0), period: { start: h(-1), end: h(1) }, items: [ITEM], ...more });
}

/** The full invoice that was taken, once more. */
const invoiceAgain = (w, more) => w.of({ ...w.fullInvoice.requestBody, ...more });

async function oldInterimData(w) {
  const h = await w.simulator.hours();
  return w.of({ timestamp: h(0), eod: h(-25), period: { start: h(-48), end: h(24) }, billing: [], usage: [] });
}

/** A refund of an invoice whose refund is already requested. */
async function refundAgain(w) {
  const { invoiceId } = await w.sdk.complete(w.token, "marketplace.submitInvoice", await invoice(w));
  await w.simulator.advance("2h");
  const refund = w.of({ action: "refund", reason: "r", total: "0.50" }, { invoiceId });
  await w.sdk.complete(w.token, "marketplace.updateInvoice", refund);
  return refund;
}

const ofResource = (w, body) => w.of(body, { resourceId: w.resource });
const ofNone = (w, body, more) => w.of(body, { resourceId: "none", ...more });
const ofExperiment = (w, body, more) => w.of(body, { resourceId: w.experiment, ...more });
const manyItems = (count) =>
  Array.from({ length: count }, (_, n) => ({ id: `many_${n}`, slug: "s", origin: "https://example.com" }));

/** Rules broken: status, the message's beginning, the operation, a request, and what is not as usual. */
const RULES = [
  [400, "spec A.13: eod is older than 24 h", "marketplace.submitBillingData", oldInterimData],
  [
    400,
    "spec A.14: invoiceDate is not within the period",
    "marketplace.submitInvoice",
    (w) => invoice(w, { invoiceDate: new Date(0) }),
  ],
  [
    400,
    "spec A.14 rule 2: the plan was not active in the period",
    "marketplace.submitInvoice",
    (w) => invoice(w, { items: [{ ...ITEM, billingPlanId: "none" }] }),
  ],
  [
    400,
    "spec A.16: the refunds are more than the invoice's total",
    "marketplace.updateInvoice",
    (w) => w.of({ action: "refund", reason: "r", total: "1000.00" }, { invoiceId: w.invoices.whole }),
  ],
  [
    400,
    "spec A.20: the code is unknown",
    "marketplace.exchangeSsoToken",
    (w) => ({
      grantType: "authorization_code",
      code: "none",
      clientId: w.client.id,
      clientSecret: w.client.secret,
    }),
    { code: "invalid_grant" },
  ],
  [
    400,
    "spec A.21: a batch has more than 50 items",
    "marketplace.createInstallationIntegrationConfiguration",
    (w) => ofExperiment(w, { items: manyItems(51) }),
  ],
  [
    400,
    "spec A.23: the only kind of outcome is resource-secrets",
    "deployments.updateIntegrationDeploymentAction",
    (w, sample) => ({ ...sample, requestBody: { outcomes: [{ kind: "other", secrets: [] }] } }),
  ],
  [
    401,
    "spec A.6: the bearer token is revoked",
    "marketplace.getAccountInfo",
    (w) => w.of(),
    { token: (w) => w.newTokens[0] },
  ],
  [
    403,
    "spec A.5: client_id or client_secret is wrong",
    "marketplace.rotateInstallationCredential",
    (w) => w.of({ clientSecret: "wrong" }),
  ],
  [
    403,
    "spec A.20: client_id or client_secret is wrong",
    "authentication.exchangeSsoToken",
    (w) => ({
      grantType: "refresh_token",
      refreshToken: "none",
      clientId: w.client.id,
      clientSecret: "wrong",
    }),
    { code: "invalid_client" },
  ],
  [
    404,
    "spec A.4: the installation has no such member",
    "marketplace.getMember",
    (w) => w.of(undefined, { memberId: "nobody" }),
  ],
  [
    404,
    "spec A.7: Vercel knows no such resource in this installation",
    "marketplace.createEvent",
    (w) => w.of({ event: { type: "resource.updated", resourceId: "none" } }),
  ],
  [404, "spec A: the installation has no such resource", "marketplace.getIntegrationResource", (w) => ofNone(w)],
  [404, "spec A: the installation has no such resource", "marketplace.updateResource", (w) => ofNone(w, {})],
  [
    404,
    "spec A: the installation has no such resource",
    "marketplace.deleteIntegrationResource",
    (w) => w.of(undefined, { resourceId: w.bare }),
  ],
  [
    404,
    "spec A: the installation has no such resource",
    "marketplace.updateResourceSecretsById",
    (w) => ofNone(w, { secrets: [] }),
  ],
  [
    404,
    "spec A.15: the installation has no such invoice",
    "marketplace.getInvoice",
    (w) => w.of(undefined, { invoiceId: "none" }),
  ],
  [
    404,
    "spec A.19: the resource is not of that product",
    "marketplace.updateResourceSecrets",
    (w, sample) => ({ ...sample, integrationProductIdOrSlug: "other" }),
  ],
  [
    404,
    "spec A.21: the resource has no such item",
    "marketplace.deleteInstallationIntegrationConfiguration",
    (w) => ofExperiment(w, undefined, { itemId: "none" }),
  ],
  [
    404,
    "spec A.22: the customer has not enabled syncing, there is nothing to read",
    `marketplace.get${CONFIG}`,
    (w) => ofResource(w),
  ],
  [409, "spec A.2: the installation is not being uninstalled", "marketplace.finalizeInstallation", (w) => w.of()],
  [
    409,
    "spec A.6: the last live credential cannot be revoked",
    "marketplace.revokeInstallationCredential",
    (w) => w.of({ token: w.token, clientSecret: w.client.secret }),
  ],
  [
    409,
    "spec A.10: the resource is of another product",
    "marketplace.importResource",
    (w) => ofResource(w, { productId: "other", name: "n", status: "ready" }),
  ],
  [
    409,
    "spec A.10: the resource was deleted, its id is not used again",
    "marketplace.importResource",
    (w) => w.of({ productId: PRODUCT, name: "n", status: "ready" }, { resourceId: w.bare }),
  ],
  [
    409,
    "spec A.14 rule 1: the resource is billed already for this plan and period",
    "marketplace.submitInvoice",
    (w) => invoiceAgain(w, { externalId: undefined }),
  ],
  [409, "spec A.14 rule 5: the externalId is already used", "marketplace.submitInvoice", (w) => invoiceAgain(w)],
  [409, "spec A.16: a refund of this invoice is already requested", "marketplace.updateInvoice", refundAgain],
  [
    409,
    "spec A.22: the customer has not enabled syncing, nothing can be written",
    `marketplace.replace${CONFIG}`,
    (w) => ofResource(w, { data: {} }),
  ],
  [
    412,
    "spec A.22: If-Match is not the digest of what is there",
    `marketplace.replace${CONFIG}`,
    (w) => ofExperiment(w, { data: {} }),
    { headers: { "if-match": '"none"' } },
  ],
  [
    422,
    "spec A, Secret: a name is there twice",
    "marketplace.updateResourceSecretsById",
    (w) => ofResource(w, { secrets: [SECRET, SECRET] }),
  ],
  [
    422,
    "spec A, Secret: a name is empty",
    "marketplace.importResource",
    (w, sample) => ({ ...sample, requestBody: { ...sample.requestBody, secrets: [{ ...SECRET, name: "" }] } }),
  ],
];

/** Checks all refusals; `samples` has a request for each operation. Calls `check(what, act)` for each. */
export async function refuseAll(w, samples, check) {
  for (const { status, rule, of } of TOKENS) {
    const [integrationConfigurationId, token] = of(w);
    const wanted = { status, code: CODES[status], rule };
    for (const [method, sample] of samples) {
      if (!sample.integrationConfigurationId) continue;
      const request = { ...sample, integrationConfigurationId };
      await check(`${status} ${method}: ${rule}`, () => w.sdk.refused(token, method, request, wanted));
    }
  }
  for (const status of ARMED) {
    const fault = { kind: "status", status, headers: { "retry-after": "7" } };
    const wanted = { status, code: CODES[status] };
    await w.simulator.withFault(fault, async () => {
      for (const [method, sample] of samples) {
        await check(`${status} ${method}: armed`, async () => {
          const error = await w.sdk.refused(w.token, method, sample, wanted);
          assert.equal(error.headers.get("retry-after"), "7");
        });
      }
    });
  }
  for (const [status, rule, method, request, { code, token, headers } = {}] of RULES) {
    await check(`${status} ${method}: ${rule}`, async () => {
      const broken = await request(w, samples.get(method));
      const wanted = { status, code: code ?? CODES[status], rule };
      await w.sdk.refused(token?.(w) ?? w.token, method, broken, wanted, { headers });
    });
  }
  await w.simulator.withFault("reset_before", () =>
    check("marketplace.getAccountInfo: the connection is cut", () =>
      assert.rejects(w.sdk.send(w.token, "marketplace.getAccountInfo", w.of()), ConnectionError),
    ),
  );
}
