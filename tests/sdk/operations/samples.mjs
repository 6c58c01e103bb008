// Values that several operations are called with.

import { PLAN } from "../provider.mjs";

export const STATUSES = ["ready", "pending", "onboarding", "suspended", "resumed", "uninstalled", "error"];
export const METADATA = { region: "fra1", replicas: 2, backups: true, zones: ["a", "b"], ports: [5432, 5433] };
export const NOTIFICATION = {
  level: "warn",
  title: "Almost full",
  message: "9 of 10 GB",
  href: "https://example.com/usage",
};
export const MINIMAL_PLAN = { id: "free", type: "prepayment", name: "Free" };
export const FULL_PLAN = {
  id: PLAN.id,
  type: PLAN.type,
  name: PLAN.name,
  description: PLAN.description,
  paymentMethodRequired: true,
  cost: PLAN.cost,
  details: PLAN.details,
  highlightedDetails: [{ label: "Support", value: "24/7" }],
  effectiveDate: "2027-01-01T00:00:00.000Z",
  additionalProperties: { tier: 2, regions: ["fra1"] },
};
export const SECRETS = [
  { name: "DATABASE_URL", value: "postgres://second" },
  {
    name: "TOKEN",
    value: "t",
    prefix: "DB",
    environmentOverrides: { development: "d", preview: "p", production: "q" },
  },
  { name: "HOST", value: "h", environmentOverrides: { preview: "p" } },
];
/** Keeps a plan on the resource that can be invoiced. */
export const BILLED = { billingPlan: FULL_PLAN };
