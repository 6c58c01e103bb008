// Vercel's own SDK against Tradepost's simulated Vercel: `node check.mjs http://127.0.0.1:PORT`.
//
// Who uses it: `./run`, which starts a simulator and calls this, and through it CI. It needs nothing else: the
// provider that the simulator installs is served from here. It completes every operation that the SDK has for
// the marketplace, with several combinations of optional fields each, has every operation refused in every way
// that the SDK types, and exits with 1 if anything came out otherwise. An operation that a newer SDK brings
// and that the table does not call fails it, too.
//
//   check.mjs       the world, the loop and the summary
//   operations.mjs  the table of operations
//   operations/     their calls
//   refusals.mjs    the tables of refusals
//   sdk.mjs         what counts as completed and as refused
//   simulator.mjs   the simulator's control face
//   provider.mjs    the least provider that can be installed

import assert from "node:assert/strict";
import { OPERATIONS } from "./operations.mjs";
import { PLAN, PRODUCT, serveProvider } from "./provider.mjs";
import { refuseAll } from "./refusals.mjs";
import { Sdk } from "./sdk.mjs";
import { Simulator } from "./simulator.mjs";

/** Calls per operation that failed, in words. */
const failures = [];

function fail(what, error) {
  const why = error instanceof Error ? error.message : String(error);
  failures.push(what);
  console.log(`FAIL ${what}\n     ${why.replaceAll("\n", "\n     ")}`);
}

/** Customers of every kind that the operations need, with their resources. */
async function buildWorld(simulator, provider, sdk) {
  const registered = await simulator.call("POST", "/partner", { baseUrl: provider.url });
  const [{ id, token }, other, leaving] = [
    await simulator.install(),
    await simulator.install(),
    await simulator.install(),
  ];
  const order = { productId: PRODUCT, planId: PLAN.id };
  // With a config's id the customer has enabled syncing.
  const protocolSettings = { experimentation: { edgeConfigId: "ecfg_1" } };
  return {
    simulator,
    provider,
    sdk,
    id,
    token,
    other,
    leaving,
    client: { id: registered.clientId, secret: registered.clientSecret },
    resource: await simulator.provision(id, { ...order, name: "Main" }),
    bare: await simulator.provision(id, { ...order, name: "Bare" }),
    experiment: await simulator.provision(id, { ...order, name: "Experiment", protocolSettings }),
    periods: 0,
    /** A request about the installation. */
    of: (requestBody, path) => ({ integrationConfigurationId: id, ...(requestBody && { requestBody }), ...path }),
  };
}

/** Makes the calls of one operation, and gives its first request. */
async function complete({ spec, method, calls }, w) {
  let [made, failed, sample] = [0, 0, undefined];
  const call = async (when, request, check, { token = w.token, ...options } = {}) => {
    made += 1;
    sample ??= request;
    try {
      const answer = await w.sdk.complete(token, method, request, options);
      check?.(answer);
      return answer;
    } catch (error) {
      failed += 1;
      fail(`${spec} ${method}, ${when}`, error);
      return undefined;
    }
  };
  /** A call of another operation, which this one needs. */
  call.before = (other, request) => w.sdk.complete(w.token, other, request);
  /** A header of the last answer. */
  call.header = (name) => w.sdk.wire?.headers.get(name);
  /** A call that the SDK cannot complete, whatever is answered; the answer's status must be this one. */
  call.defect = async (when, request, status) => {
    made += 1;
    try {
      await w.sdk.send(w.token, method, request).catch(() => undefined);
      assert.equal(w.sdk.wire?.status, status, w.sdk.seen());
    } catch (error) {
      failed += 1;
      fail(`${spec} ${method}, ${when}`, error);
    }
  };
  try {
    await calls(call, w);
  } catch (error) {
    failed += 1;
    fail(`${spec} ${method}`, error);
  }
  const isGood = failed === 0 && made > 0;
  if (isGood) console.log(`ok   ${spec} ${method}: ${made} ${made === 1 ? "call" : "calls"}`);
  return sample;
}

async function main(url) {
  const [simulator, sdk] = [new Simulator(url), new Sdk(url)];
  const provider = await serveProvider();
  try {
    const w = await buildWorld(simulator, provider, sdk);
    const listed = new Set(OPERATIONS.map(({ method }) => method));
    for (const method of sdk.operations("marketplace")) {
      if (!listed.has(method)) fail(method, "the SDK has this operation, and operations.mjs does not call it");
    }
    const samples = new Map();
    for (const operation of OPERATIONS) samples.set(operation.method, await complete(operation, w));

    let [refusals, before] = [0, failures.length];
    await refuseAll(w, samples, async (what, act) => {
      refusals += 1;
      try {
        await act();
      } catch (error) {
        fail(what, error);
      }
    });
    if (failures.length === before) console.log(`ok   refusals: ${refusals}`);
    console.log(`${OPERATIONS.length} operations, ${refusals} refusals, ${failures.length} failed`);
  } finally {
    provider.close();
  }
}

const [url] = process.argv.slice(2);
assert.ok(url, "usage: node check.mjs http://127.0.0.1:PORT");
await main(url);
process.exitCode = failures.length === 0 ? 0 : 1;
