// A.8 to A.12, A.18, A.19 and A.23: resources, their secrets, and what hangs on them.

import assert from "node:assert/strict";
import { PLAN, PRODUCT } from "../provider.mjs";
import { BILLED, METADATA, MINIMAL_PLAN, NOTIFICATION, SECRETS, STATUSES } from "./samples.mjs";

export async function put(call, w) {
  const put = (id, body) => {
    w.provider.resource(id, { productId: PRODUCT, name: body.name });
    return call(id, w.of({ productId: PRODUCT, status: "ready", ...body }, { resourceId: id }), (answer) =>
      assert.match(answer.name, new RegExp(body.name)),
    );
  };
  w.imported = "imported_least";
  await put("imported_least", { name: "Imported", ...BILLED });
  await put("imported_least", { name: "Imported again", ...BILLED });
  const rest = { metadata: METADATA, notification: NOTIFICATION, extras: { any: { depth: 1 } }, secrets: SECRETS };
  for (const ownership of ["owned", "linked", "sandbox"]) {
    await put(`imported_${ownership}`, { name: `Imported, ${ownership}`, ownership, ...BILLED, ...rest });
  }
  for (const status of STATUSES) await put(`imported_${status}`, { name: `Imported, ${status}`, status, ...BILLED });
}

export async function patch(call, w) {
  const patch = (when, body) => call(when, w.of(body, { resourceId: w.resource }));
  await patch("nothing", {});
  await call("a name", w.of({ name: "Renamed" }, { resourceId: w.resource }), (answer) =>
    assert.equal(answer.name, "Renamed"),
  );
  for (const status of STATUSES) await patch(status, { status });
  for (const ownership of ["linked", "sandbox", "owned"]) await patch(ownership, { ownership });
  await patch("another plan", { billingPlan: MINIMAL_PLAN });
  await patch("a plan with all fields", BILLED);
  await patch("a short notification", { notification: { level: "info", title: "Hello" } });
  await patch("no notification", { notification: "" });
  await patch("secrets in a list", { secrets: SECRETS });
  await patch("secrets in an object", { secrets: { secrets: SECRETS.slice(0, 1) } });
  await patch("some secrets", { secrets: { secrets: SECRETS.slice(1), partial: true } });
  await patch("the rest", { status: "ready", metadata: METADATA, notification: NOTIFICATION, extras: { any: 1 } });
}

export async function get(call, w) {
  const get = (when, id, check) => call(when, w.of(undefined, { resourceId: id }), check);
  await get("all fields", w.resource, (answer) => {
    assert.equal(answer.id, w.resource);
    assert.deepEqual(answer.metadata, METADATA);
    assert.deepEqual({ ...answer.notification }, NOTIFICATION);
    assert.equal(answer.billingPlanId, PLAN.id);
  });
  await get("as provisioned", w.bare, (answer) => assert.equal(answer.notification, undefined));
  await get("with experimentation", w.experiment);
  await get("imported", w.imported);
}

export async function list(call, w) {
  await call("some", w.of(), (answer) => assert.ok(answer.resources.length > 2));
  const { id, token } = w.leaving;
  const none = (answer) => assert.deepEqual(answer.resources, []);
  await call("none", { integrationConfigurationId: id }, none, { token });
}

export async function remove(call, w) {
  await call("one", w.of(undefined, { resourceId: w.bare }));
}

/** A.18, and A.19 with a product in its path. */
export const secrets = (path) => async (call, w) => {
  const put = (when, body) => call(when, w.of(body, { resourceId: w.resource, ...path }));
  await put("the whole set", { secrets: SECRETS });
  await put("the whole set, said so", { secrets: SECRETS.slice(0, 2), partial: false });
  await put("some", { secrets: SECRETS.slice(2), partial: true });
  const { secrets } = await w.simulator.state(w.id);
  const names = secrets.filter((row) => row.resourceId === w.resource).map((row) => row.name);
  assert.deepEqual(names.toSorted(), ["DATABASE_URL", "HOST", "TOKEN"]);
  await put("none", { secrets: [] });
};

export async function act(call, w) {
  const path = { deploymentId: "dpl_1", resourceId: w.resource, action: "migrate" };
  const patch = (when, body) => call(when, w.of(body, path));
  await patch("nothing", {});
  for (const status of ["running", "failed"]) await patch(status, { status });
  await patch("all fields", {
    status: "succeeded",
    statusText: "Migrated",
    statusUrl: "https://example.com/migrations/1",
    outcomes: [{ kind: "resource-secrets", secrets: [{ name: "BRANCH_URL", value: "postgres://branch" }] }],
  });
}

export async function connect(call, w) {
  const post = (when, body) => call(when, w.of(body, { resourceId: w.resource }));
  await post("the least", { projectId: "prj_1" });
  const envVarEnvironments = ["production", "preview", "development", "staging"];
  await post("all fields", { projectId: "prj_2", envVarEnvironments, makeEnvVarsSensitive: true });
}
