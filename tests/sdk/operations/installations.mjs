// A.1 to A.7 and A.20: the installation, its people, its events and its credentials.

import assert from "node:assert/strict";
import { PLAN, PRODUCT } from "../provider.mjs";
import { BILLED, MINIMAL_PLAN, NOTIFICATION, STATUSES } from "./samples.mjs";

export async function update(call, w) {
  const patch = (when, body) => call(when, w.of(body));
  await patch("no body");
  await patch("nothing", {});
  for (const status of STATUSES) await patch(status, { status });
  await patch("a short plan", { billingPlan: MINIMAL_PLAN });
  await patch("a short notification", { notification: { level: "error", title: "Broken" } });
  await patch("no notification", { notification: "" });
  await patch("all fields", { status: "ready", externalId: "customer-1", ...BILLED, notification: NOTIFICATION });
}

export async function account(call, w) {
  await call("a contact", w.of(), (answer) => assert.match(answer.contact.email, /@/));
  // Nobody is left who could be the contact.
  const { id, token } = await w.simulator.install();
  const { installations } = await w.simulator.state(id);
  await w.simulator.member(id, installations[0].userId, "NONE");
  const none = (answer) => assert.equal(answer.contact, null);
  await call("no contact", { integrationConfigurationId: id }, none, { token });
}

export async function member(call, w) {
  for (const role of ["ADMIN", "USER"]) {
    await w.simulator.member(w.id, `member_${role}`, role);
    await call(role, w.of(undefined, { memberId: `member_${role}` }), (answer) => assert.equal(answer.role, role));
  }
}

export async function event(call, w) {
  const post = (when, event) => call(when, w.of({ event }));
  await post("installation.updated", { type: "installation.updated" });
  await post("installation.updated, a plan", { type: "installation.updated", billingPlanId: PLAN.id });
  await post("resource.updated", { type: "resource.updated", resourceId: w.bare });
  await post("resource.updated, a product", { type: "resource.updated", resourceId: w.bare, productId: PRODUCT });
}

export async function finalize(call, w) {
  const { id, token } = w.leaving;
  await w.simulator.uninstall(id);
  await call("while it is being uninstalled", { integrationConfigurationId: id }, undefined, { token });
}

export async function rotate(call, w) {
  const rotate = (when, body) => call(when, w.of(body), (answer) => assert.equal(answer.tokenType, "oauth2-token"));
  const least = await rotate("the secret", { clientSecret: w.client.secret });
  const whole = await rotate("the secret and the id", { clientSecret: w.client.secret, clientId: w.client.id });
  w.newTokens = [least?.accessToken, whole?.accessToken];
}

export async function revoke(call, w) {
  const revoke = (when, token, more) =>
    call(when, w.of({ token, clientSecret: w.client.secret, ...more }), (answer) => assert.equal(answer.revoked, true));
  await revoke("the secret", w.newTokens[0]);
  await revoke("the secret and the id", w.newTokens[1], { clientId: w.client.id });
  await revoke("again", w.newTokens[0]);
}

export async function signOn(call, w) {
  const client = { clientId: w.client.id, clientSecret: w.client.secret };
  const exchange = (when, more) =>
    call(when, { ...client, ...more }, (answer) => assert.equal(answer.idToken.split(".").length, 3));
  const grantType = "authorization_code";
  await exchange("a code", { grantType, code: (await w.simulator.signOn(w.id)).code });
  const signedOn = { grantType, ...(await w.simulator.signOn(w.id)), redirectUri: `${w.provider.url}/callback` };
  const answer = await exchange("a code, state and redirect URI", signedOn);
  await exchange("a refresh token", { grantType: "refresh_token", refreshToken: answer?.refreshToken });
}
