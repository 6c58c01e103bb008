// The simulator's control face, `/_sim`: the customer, the clock and the faults.

const HOUR_MS = 3_600_000;

/** A control call that the simulator refused. */
class ControlError extends Error {}

export class Simulator {
  constructor(url) {
    this.url = url;
  }

  async call(method, path, body) {
    const response = await fetch(`${this.url}/_sim${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new ControlError(`${method} /_sim${path} answered ${response.status}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Now, by the simulated clock, in milliseconds of the epoch. */
  async now() {
    return Date.parse((await this.call("GET", "/health")).now);
  }

  /** A function from hours, after now or before, to dates. */
  async hours() {
    const now = await this.now();
    return (hours) => new Date(now + hours * HOUR_MS);
  }

  advance(duration) {
    return this.call("POST", "/clock", { advance: duration });
  }

  /** Installs as a new customer. */
  async install() {
    const { installationId, accessToken } = await this.call("POST", "/installations", {});
    return { id: installationId, token: accessToken };
  }

  uninstall(id) {
    return this.call("DELETE", `/installations/${id}`, {});
  }

  async provision(id, order) {
    return (await this.call("POST", `/installations/${id}/resources`, order)).resourceId;
  }

  /** Decides how the customer's next invoices are paid. */
  payment(id, result) {
    return this.call("POST", `/installations/${id}/payment`, { result });
  }

  member(installationId, memberId, role) {
    return this.call("POST", "/members", { installationId, memberId, role });
  }

  /** The code and state that a customer brings who presses Open in Provider. */
  async signOn(installationId) {
    const { url } = await this.call("POST", "/sso", { installationId });
    const parameters = new URL(url).searchParams;
    return { code: parameters.get("code"), state: parameters.get("state") };
  }

  async state(installationId) {
    return this.call("GET", `/state?installationId=${installationId}`);
  }

  /** Arms one fault on every call of the provider, for as long as `act` runs. */
  async withFault(fault, act) {
    await this.call("PUT", "/faults", [{ match: {}, fault }]);
    try {
      return await act();
    } finally {
      await this.call("PUT", "/faults", []);
    }
  }
}
