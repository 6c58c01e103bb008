// Refusals: each must arrive as the SDK's error for refusals, with Vercel's status, code and message.
//
// First every operation is refused with what any operation may be refused with: by its token (real), and by
// statuses armed as faults. Then rules of spec A are broken, each once.

import assert from "node:assert/strict";
import { ConnectionError } from "@vercel/sdk/models/httpclienterrors.js";
import { CONFIG } from "./operations.mjs";
import { PLAN } from "./provider.mjs";

/** Armed as faults, with the codes of spec G; the code that goes with the others is not documented. */
const ARMED = [
  { status: 400, code: "bad_request" },
  { status: 401, code: "forbidden" },
  { status: 403, code: "forbidden" },
  { status: 404, code: "not_found" },
  { status: 409 },
  { status: 410 },
  { status: 422 },
  { status: 429, code: "rate_limited" },
  { status: 500, code: "internal_server_error" },
  { status: 503, code: "internal_server_error" },
];

/** What the token of a call can be wrong in. The token exchange has none. */
const TOKENS = [
  { why: "no such token", status: 401, code: "unauthorized", of: (w) => [w.id, "none"] },
  { why: "another installation's token", status: 403, code: "forbidden", of: (w) => [w.id, w.other.token] },
  { why: "a finalized installation's token", status: 410, code: "gone", of: (w) => [w.leaving.id, w.leaving.token] },
];

/** Rules of spec A, broken once each. `request` gives the request and, if it is not the usual one, the token. */
const RULES = [
  {
    rule: "A.13: eod is older than 24 h",
    status: 400,
    code: "bad_request",
    method: "marketplace.submitBillingData",
    async request(w) {
      const h = await w.simulator.hours();
      const period = { start: h(-48), end: h(24) };
      return [w.of({ timestamp: h(0), eod: h(-25), period, billing: [], usage: [] })];
    },
  },
  {
    rule: "A.14: invoiceDate is not within the period",
    status: 400,
    code: "bad_request",
    method: "marketplace.submitInvoice",
    async request(w) {
      const h = await w.simulator.hours();
      return [w.of({ ...w.fullInvoice.requestBody, externalId: "2027-01/2", invoiceDate: h(1000) })];
    },
  },
  {
    rule: 'A.14:? rule 2: plan "none" was not active',
    status: 400,
    code: "bad_request",
    method: "marketplace.submitInvoice",
    async request(w) {
      const h = await w.simulator.hours();
      const item = { billingPlanId: "none", name: "n", price: "1", quantity: 1, units: "u", total: "1.00" };
      return [w.of({ invoiceDate: h(0), period: { start: h(-1), end: h(1) }, items: [item] })];
    },
  },
  {
    rule: "A.16: the refunds are more than the invoice's total",
    status: 400,
    code: "bad_request",
    method: "marketplace.updateInvoice",
    request: (w) => [w.of({ action: "refund", reason: "r", total: "1000.00" }, { invoiceId: w.invoices.whole })],
  },
  {
    rule: "A, Secret: a name is there twice",
    status: 422,
    method: "marketplace.updateResourceSecretsById",
    request: (w) => {
      const secret = { name: "A", value: "a" };
      return [w.of({ secrets: [secret, secret] }, { resourceId: w.resource })];
    },
  },
  {
    rule: "A.20: the code is unknown",
    status: 400,
    code: "invalid_grant",
    method: "marketplace.exchangeSsoToken",
    request: (w) => [
      { grantType: "authorization_code", code: "none", clientId: w.client.id, clientSecret: w.client.secret },
    ],
  },
  {
    rule: "A.21",
    why: "51 items",
    status: 400,
    code: "bad_request",
    method: "marketplace.createInstallationIntegrationConfiguration",
    request: (w) => {
      const item = (_, n) => ({ id: `many_${n}`, slug: "s", origin: "https://example.com" });
      return [w.of({ items: Array.from({ length: 51 }, item) }, { resourceId: w.experiment })];
    },
  },
  {
    rule: "A.6: the bearer token is revoked",
    status: 401,
    code: "unauthorized",
    method: "marketplace.getAccountInfo",
    request: (w) => [w.of(), w.newTokens[0]],
  },
  {
    rule: "",
    why: "A.5: the client secret is wrong",
    status: 403,
    code: "forbidden",
    method: "marketplace.rotateInstallationCredential",
    request: (w) => [w.of({ clientSecret: "wrong" })],
  },
  {
    rule: "A.20",
    why: "A.20: the client secret is wrong",
    status: 403,
    code: "invalid_client",
    method: "authentication.exchangeSsoToken",
    request: (w) => [
      { grantType: "refresh_token", refreshToken: "none", clientId: w.client.id, clientSecret: "wrong" },
    ],
  },
  {
    rule: "A.4: the installation has no such member",
    status: 404,
    code: "not_found",
    method: "marketplace.getMember",
    request: (w) => [w.of(undefined, { memberId: "nobody" })],
  },
  {
    rule: "A.7: Vercel knows no such resource",
    status: 404,
    code: "not_found",
    method: "marketplace.createEvent",
    request: (w) => [w.of({ event: { type: "resource.updated", resourceId: "none" } })],
  },
  {
    rule: "A.12",
    why: "A.12: deleted already",
    status: 404,
    code: "not_found",
    method: "marketplace.deleteIntegrationResource",
    request: (w) => [w.of(undefined, { resourceId: w.bare })],
  },
  ...["getIntegrationResource", "updateResource", "updateResourceSecretsById", "updateResourceSecrets"].map((name) => ({
    rule: "A.(9|11|18|19): the installation has no such resource",
    status: 404,
    code: "not_found",
    method: `marketplace.${name}`,
    request: (w, sample) => [{ ...sample, resourceId: "none" }],
  })),
  {
    rule: "A.15: the installation has no such invoice",
    status: 404,
    code: "not_found",
    method: "marketplace.getInvoice",
    request: (w) => [w.of(undefined, { invoiceId: "none" })],
  },
  {
    rule: "A.2: the installation is not being uninstalled",
    status: 409,
    code: "conflict",
    method: "marketplace.finalizeInstallation",
    request: (w) => [w.of()],
  },
  {
    rule: "A.6: the last live credential cannot be revoked",
    status: 409,
    code: "conflict",
    method: "marketplace.revokeInstallationCredential",
    request: (w) => [w.of({ token: w.token, clientSecret: w.client.secret })],
  },
  {
    rule: 'A.14 rule 5: externalId "2027-01/1" is already used',
    status: 409,
    code: "conflict",
    method: "marketplace.submitInvoice",
    request: (w) => [w.fullInvoice],
  },
  {
    rule: "A.14 rule 1: resource .* billed already",
    status: 409,
    code: "conflict",
    method: "marketplace.submitInvoice",
    request: (w) => [w.of({ ...w.fullInvoice.requestBody, externalId: undefined })],
  },
  {
    rule: "A.16: a refund of this invoice is already requested",
    status: 409,
    code: "conflict",
    method: "marketplace.updateInvoice",
    async request(w) {
      const h = await w.simulator.hours();
      const item = { billingPlanId: PLAN.id, name: "n", price: "1", quantity: 1, units: "u", total: "1.00" };
      const body = { invoiceDate: h(0), period: { start: h(-1), end: h(1) }, items: [item] };
      const { invoiceId } = await w.sdk.complete(w.token, "marketplace.submitInvoice", w.of(body));
      await w.simulator.advance("2h");
      const refund = w.of({ action: "refund", reason: "r", total: "0.50" }, { invoiceId });
      await w.sdk.complete(w.token, "marketplace.updateInvoice", refund);
      return [refund];
    },
  },
  {
    rule: "A.22",
    why: "A.22: If-Match is not what is stored",
    status: 412,
    method: `marketplace.replace${CONFIG}`,
    request: (w) => [w.of({ data: {} }, { resourceId: w.experiment }), w.token, { headers: { "if-match": '"none"' } }],
  },
];

/** Checks all refusals; `samples` has a request for each operation. Calls `check(name, act)` for each. */
export async function refuseAll(w, samples, check) {
  for (const { why, status, code, of } of TOKENS) {
    const [integrationConfigurationId, token] = of(w);
    for (const [method, sample] of samples) {
      if (!sample.integrationConfigurationId) continue;
      const request = { ...sample, integrationConfigurationId };
      await check(`${status} ${method}: ${why}`, () => w.sdk.refused(token, method, request, { status, code }));
    }
  }
  for (const armed of ARMED) {
    const fault = { kind: "status", status: armed.status, headers: { "retry-after": "7" } };
    await w.simulator.withFault(fault, async () => {
      for (const [method, sample] of samples) {
        await check(`${armed.status} ${method}: armed`, async () => {
          const error = await w.sdk.refused(w.token, method, sample, armed);
          assert.equal(error.headers.get("retry-after"), "7");
        });
      }
    });
  }
  for (const { rule, why, status, code, method, request } of RULES) {
    await check(`${status} ${method}: ${why ?? rule}`, async () => {
      const [broken, token = w.token, options] = await request(w, samples.get(method));
      const message = rule && new RegExp(`^spec ${rule}`);
      await w.sdk.refused(token, method, broken, { status, code, message }, options);
    });
  }
  await w.simulator.withFault("reset_before", () =>
    check("cut  marketplace.getAccountInfo: the connection is cut", () =>
      assert.rejects(w.sdk.send(w.token, "marketplace.getAccountInfo", w.of()), ConnectionError),
    ),
  );
}
