// Calls through Vercel's SDK, and what it must make of the answers.
//
// The SDK reads leniently: a missing text becomes "", a missing number 0, a null undefined, a number a text, and
// unknown members vanish. "No validation error" alone would therefore prove little. So every answer is also held
// against the bytes it was read from: what the SDK returns must be what was on the wire, no more and no less.

import assert from "node:assert/strict";
import { Vercel } from "@vercel/sdk";
import { HTTPClient } from "@vercel/sdk/lib/http.js";
import { ResponseValidationError } from "@vercel/sdk/models/responsevalidationerror.js";
import { SDKError } from "@vercel/sdk/models/sdkerror.js";
import { SDKValidationError } from "@vercel/sdk/models/sdkvalidationerror.js";
import { VercelError } from "@vercel/sdk/models/vercelerror.js";

/**
 * Members that the SDK expects by another name than the documented schema has: it reads a zero value. Not compared
 * where the answer has the schema's name.
 */
const MISREAD = { "marketplace.revokeInstallationCredential": "alreadyRevoked" };

export class Sdk {
  /** The last answer on the wire. */
  wire = undefined;

  constructor(serverURL) {
    this.serverURL = serverURL;
    this.http = new HTTPClient().addHook("response", async (response, request) => {
      const { status, headers } = response;
      this.wire = { method: request.method, status, headers, body: await response.clone().text() };
    });
  }

  /** The names of a group's operations, as the SDK has them. */
  operations(group) {
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(this.client("")[group]));
    return methods.filter((name) => name !== "constructor").map((name) => `${group}.${name}`);
  }

  client(bearerToken) {
    return new Vercel({ serverURL: this.serverURL, bearerToken, httpClient: this.http });
  }

  /** Calls `group.method`; throws what the SDK throws. */
  async send(token, operation, request, options) {
    const [group, method] = operation.split(".");
    this.wire = undefined;
    return await this.client(token)[group][method](request, options);
  }

  /** Calls `group.method`, and fails unless the SDK returns what was on the wire. */
  async complete(token, operation, request, options) {
    let answer;
    try {
      answer = await this.send(token, operation, request, options);
    } catch (error) {
      throw new Error(`${this.seen()}: ${explained(error)}`, { cause: error });
    }
    const [read, sent] = [plain(answer), JSON.parse(this.wire.body || "null") ?? undefined];
    const misread = MISREAD[operation];
    if (misread && misread in sent) {
      delete sent[misread];
      delete read[misread];
    }
    assert.deepEqual(read, sent && camelCased(sent), `${this.seen()}, and the SDK read something else`);
    return answer;
  }

  /** Calls `group.method`, and fails unless it is refused so. `rule` begins the message. */
  async refused(token, operation, request, { status, code, rule = "" }, options) {
    let error;
    try {
      const answer = await this.send(token, operation, request, options);
      assert.fail(`${this.seen()}, and the SDK returned ${JSON.stringify(answer)}`);
    } catch (caught) {
      error = caught;
    }
    if (error instanceof assert.AssertionError) throw error;
    assert.equal(error.constructor, SDKError, `not the SDK's error for a refusal: ${explained(error)}`);
    assert.ok(error instanceof VercelError, "a refusal is a VercelError");
    assert.equal(error.statusCode, status, this.seen());
    assert.equal(error.rawResponse.status, status, this.seen());
    // The answer to a HEAD has no body.
    if (this.wire.method !== "HEAD") checkEnvelope(error, operation, code, rule);
    return error;
  }

  seen() {
    const { method, status, body } = this.wire ?? { method: "nothing", status: "sent", body: "" };
    return `${method} was answered ${status} ${body}`.trim();
  }
}

/** Vercel's error envelope (spec G); OAuth's for the token exchange (spec A.20). */
function checkEnvelope(error, operation, code, rule) {
  assert.equal(error.contentType, "application/json");
  const body = JSON.parse(error.body);
  const isOauth = operation.endsWith(".exchangeSsoToken") && typeof body.error === "string";
  const given = isOauth ? { code: body.error, message: body.error_description } : body.error;
  assert.equal(given.code, code, error.body);
  assert.equal(typeof given.message, "string", error.body);
  assert.ok(given.message.startsWith(rule), `${error.body} does not begin with ${rule}`);
}

/** An error in one line or, for a validation error, with the paths that failed. */
function explained(error) {
  const isInvalid = error instanceof ResponseValidationError || error instanceof SDKValidationError;
  return isInvalid ? `${error.name}: ${error.pretty()}` : `${error.name}: ${error.message}`;
}

/** Without what JSON does not have. */
function plain(answer) {
  return answer === undefined ? undefined : JSON.parse(JSON.stringify(answer));
}

/** A body as the SDK names its members: OAuth's become camelCase. */
function camelCased(body) {
  const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [camel(name), value]));
}
