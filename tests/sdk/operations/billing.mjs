// A.13 to A.17: interim data, invoices, refunds and balances.

import assert from "node:assert/strict";
import { PLAN } from "../provider.mjs";

const ITEM = {
  billingPlanId: PLAN.id,
  name: "Storage",
  price: "0.000025",
  quantity: 123.5,
  units: "GB",
  total: "3.09",
};
const DISCOUNT = { billingPlanId: PLAN.id, name: "Welcome", amount: "1.00" };

/** An item or a discount with all optional fields. */
const full = (line, w, h) => ({ ...line, resourceId: w.resource, details: "More", start: h(-3), end: h(-2) });

/** The least body of an invoice, for a period of its own. */
async function invoice(w, more) {
  const h = await w.simulator.hours();
  const period = { start: h(-100 - ++w.periods), end: h(1) };
  return { integrationConfigurationId: w.id, requestBody: { invoiceDate: h(0), period, items: [ITEM], ...more } };
}

export async function interim(call, w) {
  const h = await w.simulator.hours();
  const at = (minute) => ({
    timestamp: new Date(h(0).getTime() + minute * 60_000),
    eod: h(0),
    period: { start: h(-24), end: h(24) },
  });
  const submit = (when, minute, more) => call(when, w.of({ ...at(minute), ...more }));
  const usage = { name: "Queries", type: "interval", units: "queries", dayValue: 12, periodValue: 120.5 };
  await submit("empty lists", 0, { billing: [], usage: [] });
  await submit("items in a list", 1, { billing: [ITEM, full(ITEM, w, h)], usage: [usage] });
  await submit("items in an object", 2, { billing: { items: [ITEM] }, usage: [{ ...usage, type: "total" }] });
  await submit("items and discounts", 3, {
    billing: { items: [ITEM], discounts: [DISCOUNT, full(DISCOUNT, w, h)] },
    usage: [{ ...usage, type: "rate", resourceId: w.resource, planValue: 1000 }],
  });
}

export async function balance(call, w) {
  const h = await w.simulator.hours();
  const submit = (when, balances) => call(when, w.of({ timestamp: h(0), balances }));
  await submit("of the installation", [{ currencyValueInCents: 1234 }]);
  await submit("of a resource", [
    { currencyValueInCents: 0, resourceId: w.resource, credit: "2,000 Tokens", nameLabel: "Tokens" },
  ]);
  await submit("none", []);
}

export async function submit(call, w) {
  const h = await w.simulator.hours();
  const isTaken = (answer) => assert.match(answer.invoiceId, /./);
  const isTest = (answer) => assert.equal(answer.test, true);
  const plain = await call("the least", await invoice(w), isTaken);
  const lines = { items: [ITEM, full(ITEM, w, h)], discounts: [DISCOUNT, full(DISCOUNT, w, h)] };
  w.fullInvoice = await invoice(w, { externalId: "2027-01/1", memo: "January", final: false, ...lines });
  const whole = await call("all fields", w.fullInvoice, isTaken);
  w.invoices = { plain: plain?.invoiceId, whole: whole?.invoiceId };
  const test = async (when, fields, check) => call(when, await invoice(w, { test: fields }), check);
  await test("a test", {}, isTest);
  for (const result of ["paid", "notpaid", "overdue"])
    await test(`a test, ${result}`, { validate: true, result }, isTest);
  w.invoices.test = (await test("a test that is not validated", { validate: false }, isTest))?.invoiceId;
  const wrong = await invoice(w, { test: { validate: true }, items: [{ ...ITEM, billingPlanId: "none" }] });
  await call("a test that fails: 200, validationErrors, no invoiceId", wrong, (answer) => {
    assert.equal(answer.invoiceId, undefined);
    assert.equal(answer.validationErrors.length, 1);
  });
}

export async function refund(call, w) {
  const refund = (id, total) => w.of({ action: "refund", reason: "A lost hour", total }, { invoiceId: id });
  await w.simulator.advance("2h");
  await call("in part", refund(w.invoices.whole, "0.50"));
  await call("whole", refund(w.invoices.plain, "3.09"));
}

export async function get(call, w) {
  const get = (state, id, check) =>
    call(state, w.of(undefined, { invoiceId: id }), (answer) => {
      assert.equal(answer.state, state.split(",")[0]);
      check?.(answer);
    });
  const fresh = async () => (await call.before("marketplace.submitInvoice", await invoice(w))).invoiceId;
  await get("refund_requested, all fields", w.invoices.whole, (answer) => {
    assert.equal(answer.externalId, "2027-01/1");
    assert.equal(answer.discounts.length, 2);
    assert.equal(answer.total, "4.18");
  });
  await w.simulator.advance("1h");
  await get("refunded, in part", w.invoices.whole, (answer) => assert.equal(answer.refundTotal, "0.50"));
  await get("refunded, whole", w.invoices.plain);
  await get("paid, a test", w.invoices.test, (answer) => assert.equal(answer.test, true));
  const paid = await fresh();
  await get("pending", paid);
  await w.simulator.advance("1h");
  await get("invoiced", paid);
  await w.simulator.advance("1h");
  await get("paid", paid, (answer) => assert.match(answer.paidAt, /^2027-/));
  for (const state of ["notpaid", "overdue"]) {
    await w.simulator.payment(w.id, state);
    const late = await fresh();
    await w.simulator.advance("2h");
    await get(state, late);
  }
  await w.simulator.payment(w.id, "paid");
}
