// The least provider that Vercel can install: it takes every customer, provisions what is asked, and keeps
// nothing but its resources. It serves the Partner API (spec B) on a free port of this machine.

import { createServer } from "node:http";
import { once } from "node:events";

/** The product that is provisioned. */
export const PRODUCT = "database";

/** The plan of every resource: a subscription, so that it can be invoiced. */
export const PLAN = {
  id: "pro",
  type: "subscription",
  name: "Pro",
  description: "For production",
  scope: "resource",
  paymentMethodRequired: true,
  cost: "$10.00 a month",
  details: [{ label: "Storage", value: "10 GB" }, { label: "Backups" }],
};

const OK = 200;
const CREATED = 200; // spec B.6 answers 200 to a new resource
const NO_CONTENT = 204;
const NOT_FOUND = 404;

/** Serves the provider; `resource(id, fields)` makes one known that the provider created by itself. */
export async function serveProvider() {
  const resources = new Map();
  let made = 0;

  const provision = (body) => {
    const id = `db_${++made}`;
    const experimentation = body.protocolSettings?.experimentation;
    const resource = {
      id,
      productId: body.productId,
      name: body.name,
      metadata: body.metadata,
      status: "ready",
      billingPlan: PLAN,
      ...(experimentation && {
        protocolSettings: { experimentation: { ...experimentation, edgeConfigSyncingEnabled: true } },
      }),
    };
    resources.set(id, resource);
    return [CREATED, { ...resource, secrets: [{ name: "DATABASE_URL", value: `postgres://first-${id}` }] }];
  };

  const ofResource = (method, id, body) => {
    const resource = resources.get(id);
    if (!resource) return [NOT_FOUND, { error: { code: "not_found", message: `there is no resource ${id}` } }];
    if (method === "PATCH") Object.assign(resource, body);
    if (method === "DELETE") resources.delete(id);
    return method === "DELETE" ? [NO_CONTENT] : [OK, resource];
  };

  const answer = (method, path, body) => {
    const [, , kind, , rest, resourceId] = path.split("/");
    if (path === "/webhooks/vercel") return [OK, {}];
    if (kind === "products") return [OK, { plans: [PLAN] }];
    if (kind === "installations" && rest === undefined)
      return method === "DELETE" ? [OK, { finalized: false }] : [OK, {}];
    if (rest === "plans") return [OK, { plans: [PLAN] }];
    if (rest === "resources" && method === "POST") return provision(body);
    if (rest === "resources") return ofResource(method, resourceId, body);
    return [NOT_FOUND, { error: { code: "not_found", message: `${method} ${path} is not served` } }];
  };

  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
    const [status, content] = answer(request.method, request.url.split("?")[0], body);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(content && JSON.stringify(content));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    resource: (id, fields) => resources.set(id, { id, status: "ready", metadata: {}, billingPlan: PLAN, ...fields }),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
