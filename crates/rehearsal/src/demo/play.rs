//! Playing the script's steps: through the control face, as a partner system, as a person.
//!
//! Each step can be made twice: control calls and partner calls have derived keys, and the clock stands still while a
//! step is made. A check that fails is a difference, told at the end; what cannot go on is an error.

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tradepost_marketplace::ids::ResourceId;
use tradepost_provider::state::keys::hex;

use super::audit;
use super::browser::{Browser, SignOn};
use super::partner::Partner;
use super::readings::{Reading, decimal};
use super::referee::money;
use super::repeats::Repeats;
use super::script::{
    CHANGED, Doing, GRACE_HOURS, PRODUCT, REFUND_CENTS, REFUND_REASON, RENAMED, RESOURCES, ROTATED, SCALE, Step,
    instant,
};
use super::site::Site;
use super::vercel::State;
use crate::canaries::Canaries;
use crate::control::Control;

/// The most readings of one batch: it stays well below 350 KiB.
const BATCH_READINGS_MAX: usize = 1_000;
/// How often a person whose code was burned signs on again.
const SIGN_ONS_MAX: u32 = 20;
/// How far a waiting step moves the clock at once.
const WAIT_STEP: SignedDuration = SignedDuration::from_hours(1);

/// The month being played.
pub(super) struct Play<'a> {
    pub(super) site: &'a Site,
    partner: Partner,
    browser: Browser,
    pub(super) readings: &'a [Reading],
    /// Set by the install.
    pub(super) installation: String,
    /// Set by the provisioning, in the script's order.
    pub(super) resources: Vec<String>,
    /// What was not as expected.
    pub(super) differences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    installation_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provisioned {
    resource_id: String,
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

#[derive(Deserialize)]
struct Taken {
    refused: Vec<Value>,
}

impl<'a> Play<'a> {
    /// Nothing has happened yet.
    pub(super) fn new(
        site: &'a Site,
        seed: u64,
        readings: &'a [Reading],
        canaries: &Canaries,
        repeats: Option<&Repeats>,
    ) -> anyhow::Result<Self> {
        let partner = Partner::new(site, seed, canaries.clone(), repeats.cloned())?;
        let browser = Browser { http: site.http.clone(), canaries: canaries.clone(), repeats: repeats.cloned() };
        let (installation, resources, differences) = (String::new(), Vec::new(), Vec::new());
        Ok(Self { site, partner, browser, readings, installation, resources, differences })
    }

    fn control(&self) -> &Control {
        &self.site.control
    }

    async fn state(&self) -> anyhow::Result<State> {
        State::of(self.control(), &self.installation).await
    }

    fn resource(&self, which: usize) -> anyhow::Result<&str> {
        self.resources.get(which).map(String::as_str).context("the resources are not provisioned")
    }

    /// Makes a step, and says what came of it. With `until`, waits for it hour by hour.
    pub(super) async fn make(&mut self, step: &Step) -> anyhow::Result<()> {
        let now = self.control().now().await?;
        if now < step.at {
            self.control().advance_to(step.at).await?;
        }
        let mut now = now.max(step.at);
        loop {
            let Err(why) = self.act(step.doing).await? else { return Ok(()) };
            let next = now.saturating_add(WAIT_STEP)?;
            if step.until.is_none_or(|until| next > until) {
                self.differences.push(format!("{now}: {why}"));
                return Ok(());
            }
            self.control().advance_to(next).await?;
            now = next;
        }
    }

    /// Does it. The inner error is an expectation that does not hold, or not yet.
    async fn act(&mut self, doing: Doing) -> anyhow::Result<Result<(), String>> {
        match doing {
            Doing::Install => self.install().await?,
            Doing::Provision => self.provision().await?,
            Doing::Report { hour } => return self.report(hour).await,
            Doing::Rotate => self.rotate().await?,
            Doing::InGrace => return self.in_grace().await,
            Doing::AfterGrace => return self.after_grace().await,
            Doing::Rename => {
                let data = json!({ "resourceId": self.resource(ROTATED)?, "name": RENAMED });
                self.partner.call("rename", "/partner/events", "resource.updated", &self.installation, &data).await?;
            }
            Doing::Renamed => return self.renamed().await,
            Doing::SignOn => return self.sign_on().await,
            Doing::ChangePlan => return self.change_plan().await,
            Doing::Invoiced => return Ok(is_invoiced(&self.state().await?, false)),
            Doing::Paid => return self.paid(false).await,
            Doing::Refund => self.refund().await?,
            Doing::Refunded => return self.refunded().await,
            Doing::Uninstall => {
                let path = format!("/_sim/installations/{}", self.installation);
                self.control().act("DELETE", &path, Some("demo/uninstall"), &json!({})).await?;
            }
            Doing::FinalInvoiced => return Ok(is_invoiced(&self.state().await?, true)),
            Doing::Finalized => return self.finalized().await,
            Doing::Settled => return audit::settled(self.site, &self.installation).await,
        }
        Ok(Ok(()))
    }

    pub(super) async fn install(&mut self) -> anyhow::Result<()> {
        let answer = self.control().act("POST", "/_sim/installations", Some("demo/install"), &json!({})).await?;
        let Installed { installation_id } = answer.read()?;
        self.installation = installation_id;
        Ok(())
    }

    pub(super) async fn provision(&mut self) -> anyhow::Result<()> {
        let path = format!("/_sim/installations/{}/resources", self.installation);
        let mut resources = Vec::new();
        for spec in RESOURCES {
            let body = json!({ "productId": PRODUCT, "planId": spec.plan, "name": spec.name });
            let key = format!("demo/provision/{}", spec.name);
            let Provisioned { resource_id } = self.control().act("POST", &path, Some(&key), &body).await?.read()?;
            resources.push(resource_id);
        }
        self.resources = resources;
        Ok(())
    }

    async fn report(&self, hour: i64) -> anyhow::Result<Result<(), String>> {
        let (from, to) = (instant(hour, SignedDuration::ZERO), instant(hour + 1, SignedDuration::ZERO));
        let first = self.readings.partition_point(|reading| reading.at < from);
        let last = self.readings.partition_point(|reading| reading.at < to);
        for (n, batch) in self.readings[first..last].chunks(BATCH_READINGS_MAX).enumerate() {
            let mut readings = Vec::with_capacity(batch.len());
            for reading in batch {
                readings.push(json!({
                    "id": reading.id,
                    "resourceId": self.resource(reading.resource)?,
                    "meter": reading.meter.id(),
                    "at": reading.at.to_string(),
                    "quantity": decimal(reading.nano),
                }));
            }
            let name = format!("usage-{hour:03}-{n}");
            let data = json!({ "batchId": name, "readings": readings });
            let answer =
                self.partner.call(&name, "/partner/usage", "usage.recorded", &self.installation, &data).await?;
            let taken: Taken = serde_json::from_slice(&answer).context("the answer to a batch")?;
            if let Some(refused) = taken.refused.first() {
                return Ok(Err(format!("{} readings of {name} were refused, such as {refused}", taken.refused.len())));
            }
        }
        Ok(Ok(()))
    }

    async fn rotate(&self) -> anyhow::Result<()> {
        let path = format!("/_sim/installations/{}/secrets/rotate", self.installation);
        let resource = self.resource(ROTATED)?;
        let body = json!({ "resourceId": resource, "reason": "an employee left", "delayHours": GRACE_HOURS });
        self.control().act("POST", &path, Some("demo/rotate"), &body).await.map(|_| ())
    }

    /// Whether Vercel has the newest secrets, and how many versions are good.
    async fn versions(&self) -> anyhow::Result<Result<usize, String>> {
        let resource = self.resource(ROTATED)?;
        let id = ResourceId::new(resource)?;
        let live = self.site.provisioner.live_versions(&id);
        let Some(newest) = live.last() else { return Ok(Err("the provisioner has no secrets of it".to_owned())) };
        let state = self.state().await?;
        for (name, value) in self.site.provisioner.secrets(&id, *newest) {
            let sha256 = hex(digest(&SHA256, value.as_bytes()).as_ref());
            let held = state.secrets.iter().find(|row| row.resource_id == resource && row.name == name);
            if held.is_none_or(|row| row.sha256 != sha256) {
                return Ok(Err(format!("Vercel does not have the newest {name}")));
            }
        }
        Ok(Ok(live.len()))
    }

    async fn in_grace(&self) -> anyhow::Result<Result<(), String>> {
        Ok(self
            .versions()
            .await?
            .and_then(|live| if live >= 2 { Ok(()) } else { Err("the old secrets died before their time".to_owned()) }))
    }

    async fn after_grace(&self) -> anyhow::Result<Result<(), String>> {
        Ok(self.versions().await?.and_then(|live| {
            if live == 1 { Ok(()) } else { Err(format!("{live} versions of secrets are good, long after the grace")) }
        }))
    }

    async fn renamed(&self) -> anyhow::Result<Result<(), String>> {
        let id = self.resource(ROTATED)?;
        let state = self.state().await?;
        let name = state.resources.iter().find(|row| row.id == id).map(|row| row.name.clone()).unwrap_or_default();
        Ok(if name == RENAMED { Ok(()) } else { Err(format!("Vercel still calls it {name:?}, not {RENAMED:?}")) })
    }

    async fn sign_on(&self) -> anyhow::Result<Result<(), String>> {
        let mut last = String::new();
        for n in 1..=SIGN_ONS_MAX {
            let body = json!({ "installationId": self.installation, "params": { "resource_id": self.resource(0)? } });
            let key = format!("demo/sign-on/{n}");
            let Link { url } = self.control().act("POST", "/_sim/sso", Some(&key), &body).await?.read()?;
            match self.browser.open(&url, &self.site.provider_url).await? {
                SignOn::Again(status) => last = status.to_string(),
                SignOn::Page(page) => {
                    let missing =
                        [RENAMED, RESOURCES[1].name, RESOURCES[2].name].into_iter().find(|it| !page.contains(it));
                    return Ok(missing.map_or(Ok(()), |name| Err(format!("the page does not show {name:?}"))));
                }
            }
        }
        bail!("{SIGN_ONS_MAX} sign-ons failed; the last one was answered {last}")
    }

    async fn change_plan(&self) -> anyhow::Result<Result<(), String>> {
        let id = self.resource(CHANGED)?;
        let path = format!("/_sim/installations/{}/resources/{id}", self.installation);
        self.control().act("PATCH", &path, Some("demo/plan-change"), &json!({ "planId": SCALE })).await?;
        let state = self.state().await?;
        let row = state.resources.iter().find(|row| row.id == id);
        let plan = row.and_then(|row| row.billing_plan.as_ref()).map(|plan| plan.id.clone()).unwrap_or_default();
        Ok(if plan == SCALE { Ok(()) } else { Err(format!("after the change Vercel shows the plan {plan:?}")) })
    }

    async fn paid(&self, is_final: bool) -> anyhow::Result<Result<(), String>> {
        let state = self.state().await?;
        let Some(invoice) = state.invoice(is_final) else { return Ok(Err("there is no invoice to pay".to_owned())) };
        if invoice.state != "paid" {
            return Ok(Err(format!("the invoice is {}, not paid", invoice.state)));
        }
        let id = invoice.external_id.clone().unwrap_or_default();
        let booked = audit::is_booked(self.site, &self.installation, &format!("paid-{id}")).await?;
        Ok(if booked { Ok(()) } else { Err(format!("the payment of {id} is not in the ledger")) })
    }

    async fn refund(&self) -> anyhow::Result<()> {
        let state = self.state().await?;
        let invoice = state.invoice(false).and_then(|invoice| invoice.external_id.clone());
        let invoice = invoice.context("there is no invoice to refund")?;
        let data = json!({ "invoiceId": invoice, "total": money(REFUND_CENTS), "reason": REFUND_REASON });
        let path = format!("/partner/invoices/{invoice}/refund");
        self.partner.call("refund", &path, "invoice.refund", &self.installation, &data).await.map(|_| ())
    }

    async fn refunded(&self) -> anyhow::Result<Result<(), String>> {
        let state = self.state().await?;
        let Some(invoice) = state.invoice(false) else { return Ok(Err("there is no invoice to refund".to_owned())) };
        let total = invoice.refund_total.as_deref().unwrap_or("nothing");
        if invoice.state != "refunded" || total != money(REFUND_CENTS) {
            return Ok(Err(format!("{total} of the invoice is refunded, and it is {}", invoice.state)));
        }
        let id = invoice.external_id.clone().unwrap_or_default();
        let booked = audit::is_booked(self.site, &self.installation, &format!("refunded-{id}-0")).await?;
        Ok(if booked { Ok(()) } else { Err(format!("the refund of {id} is not in the ledger")) })
    }

    async fn finalized(&self) -> anyhow::Result<Result<(), String>> {
        if let Err(why) = self.paid(true).await? {
            return Ok(Err(why));
        }
        let state = self.state().await?;
        let life = state.life();
        Ok(if life == "finalized" { Ok(()) } else { Err(format!("the installation is {life}, not finalized")) })
    }
}

fn is_invoiced(state: &State, is_final: bool) -> Result<(), String> {
    let which = if is_final { "final invoice" } else { "invoice" };
    state.invoice(is_final).map(|_| ()).ok_or_else(|| format!("there is no {which} at Vercel"))
}

/// What an act came to, from the script and the readings alone: a run that was killed says the same.
pub(super) fn outcome(doing: Doing, readings: &[Reading]) -> String {
    match doing {
        Doing::Install => "the customer is there, its period is January".to_owned(),
        Doing::Provision => {
            let list: Vec<String> = RESOURCES.iter().map(|spec| format!("{} on {}", spec.name, spec.plan)).collect();
            list.join(", ")
        }
        Doing::Report { hour } => {
            let (from, to) = (instant(hour - 23, SignedDuration::ZERO), instant(hour + 1, SignedDuration::ZERO));
            let within = |at: Timestamp| at >= from && at < to;
            let count = readings.iter().filter(|reading| within(reading.at)).count();
            format!("{count} readings, pushed to Vercel hourly")
        }
        Doing::Rotate => {
            format!("asked for {}, the old secrets stay good for {GRACE_HOURS} h", RESOURCES[ROTATED].name)
        }
        Doing::InGrace => "Vercel has the new secrets, the old ones still work".to_owned(),
        Doing::AfterGrace => "only the new secrets work".to_owned(),
        Doing::Rename => format!("{} is called {RENAMED}", RESOURCES[ROTATED].name),
        Doing::Renamed => format!("Vercel has read the name {RENAMED}"),
        Doing::SignOn => "an ADMIN sees the three resources".to_owned(),
        Doing::ChangePlan => format!("{} goes to {SCALE}", RESOURCES[CHANGED].name),
        Doing::Invoiced => "submitted 6 h after the period's end".to_owned(),
        Doing::Paid => "paid, and in the ledger".to_owned(),
        Doing::Refund => format!("{} asked back", money(REFUND_CENTS)),
        Doing::Refunded => format!("{} given back, and in the ledger", money(REFUND_CENTS)),
        Doing::Uninstall => "the period ends".to_owned(),
        Doing::FinalInvoiced => "submitted 6 h after the uninstall".to_owned(),
        Doing::Finalized => "the final invoice is paid, the token is dead".to_owned(),
        Doing::Settled => "outbox, provisioner and secrets are empty".to_owned(),
    }
}
