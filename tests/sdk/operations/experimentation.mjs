// A.21 and A.22: experimentation items, and the config that is synced.

import assert from "node:assert/strict";

const DETAILS = {
  name: "Blue button",
  description: "Is it better?",
  isArchived: false,
  createdAt: 1798761600000,
  updatedAt: 1798761600001,
};

export async function createItems(call, w) {
  const post = (when, items) => call(when, w.of({ items }, { resourceId: w.experiment }));
  const item = (n) => ({ id: `item_${n}`, slug: `slug-${n}`, origin: `https://example.com/items/${n}` });
  await post("the least", [item(1)]);
  const both = ["experiment", "flag"].map((category, n) => ({ ...item(n + 2), category, ...DETAILS }));
  await post("all fields", both);
  const many = Array.from({ length: 50 }, (_, n) => item(n + 4));
  await post("as many as fit", many);
}

export async function updateItem(call, w) {
  const path = { resourceId: w.experiment, itemId: "item_1" };
  const least = { slug: "slug", origin: "https://example.com/items/1" };
  await call("the least", w.of(least, path));
  await call("all fields", w.of({ ...least, ...DETAILS, category: "flag", isArchived: true }, path));
}

export async function removeItem(call, w) {
  await call("one", w.of(undefined, { resourceId: w.experiment, itemId: "item_1" }));
}

export async function putConfig(call, w) {
  const put = (when, data) =>
    call(when, w.of({ data }, { resourceId: w.experiment }), (answer) => assert.deepEqual(answer.items, data));
  await put("every kind of value", {
    text: "a",
    number: 1.5,
    yes: true,
    none: null,
    list: [1, "b", null],
    nested: { deep: { er: false } },
  });
  await put("nothing", {});
  await put("one value", { flag: true });
}

export async function getConfig(call, w) {
  const request = w.of(undefined, { resourceId: w.experiment });
  const answer = await call("200", request, (it) => assert.deepEqual(it.items, { flag: true }));
  w.etag = call.header("etag") ?? `"${answer?.digest}"`;
  const headers = { "if-none-match": w.etag };
  await call("304, as nothing has changed", request, (it) => assert.equal(it, undefined), { headers });
}

export async function headConfig(call, w) {
  const request = w.of(undefined, { resourceId: w.experiment });
  const headers = { "if-none-match": w.etag };
  await call("304, as nothing has changed", request, (it) => assert.equal(it, undefined), { headers });
  // The SDK parses the body of a 200, which the answer to a HEAD never has: no server could satisfy it.
  await call.defect("200, which the SDK cannot read", request, 200);
}
