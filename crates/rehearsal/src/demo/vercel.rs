//! Vercel's state, as far as the demo judges by it. Quantities stay the text they were.

use anyhow::bail;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::readings::{NotADecimal, parse_decimal};
use super::referee::Line;
use crate::control::Control;

/// The most pages of the state that are read.
const PAGES_MAX: usize = 20;

/// An installation.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstallationRow {
    /// How many pushes of interim data were accepted.
    pub(super) interim_count: i64,
    pub(super) life: String,
}

/// A resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) billing_plan: Option<PlanRow>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PlanRow {
    pub(super) id: String,
}

/// The digest of a secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretRow {
    pub(super) resource_id: String,
    pub(super) name: String,
    pub(super) sha256: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct PeriodRow {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// A line of interim data or of an invoice.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemRow {
    billing_plan_id: String,
    resource_id: Option<String>,
    price: String,
    quantity: Box<RawValue>,
    total: String,
}

/// A meter in interim data.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageRow {
    pub(super) resource_id: Option<String>,
    pub(super) name: String,
    pub(super) day_value: Box<RawValue>,
    pub(super) period_value: Box<RawValue>,
}

/// The newest push of a day.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct InterimRow {
    pub(super) timestamp: Timestamp,
    pub(super) eod: Timestamp,
    pub(super) period: PeriodRow,
    pub(super) items: Vec<ItemRow>,
    pub(super) discounts: Vec<Box<RawValue>>,
    pub(super) usage: Vec<UsageRow>,
}

/// An invoice.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvoiceRow {
    pub(super) external_id: Option<String>,
    pub(super) state: String,
    pub(super) period: PeriodRow,
    pub(super) items: Vec<ItemRow>,
    pub(super) discounts: Vec<Box<RawValue>>,
    pub(super) total: String,
    pub(super) is_final: bool,
    pub(super) is_test: bool,
    pub(super) paid_at: Option<Timestamp>,
    pub(super) refund_total: Option<String>,
    pub(super) refund_reason: Option<String>,
}

/// A webhook and its fate.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WebhookRow {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) state: String,
}

/// All of it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct State {
    pub(super) installations: Vec<InstallationRow>,
    pub(super) resources: Vec<ResourceRow>,
    pub(super) secrets: Vec<SecretRow>,
    pub(super) interim: Vec<InterimRow>,
    pub(super) invoices: Vec<InvoiceRow>,
    pub(super) webhooks: Vec<WebhookRow>,
    next: Option<String>,
}

impl State {
    /// Reads it, page by page.
    pub(super) async fn of(control: &Control, installation: &str) -> anyhow::Result<Self> {
        let mut all = Self::default();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let path = format!("/_sim/state?installationId={installation}{cursor}");
            let page: Self = control.get(&path).await?.read()?;
            all.installations.extend(page.installations);
            all.resources.extend(page.resources);
            all.secrets.extend(page.secrets);
            all.interim.extend(page.interim);
            all.invoices.extend(page.invoices);
            all.webhooks.extend(page.webhooks);
            let Some(next) = page.next else { return Ok(all) };
            let encoded: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            cursor = format!("&cursor={encoded}");
        }
        bail!("Vercel's state has more than {PAGES_MAX} pages")
    }

    /// The invoices that count: the regular one, or the final one.
    pub(super) fn invoice(&self, is_final: bool) -> Option<&InvoiceRow> {
        self.invoices.iter().find(|invoice| !invoice.is_test && invoice.is_final == is_final)
    }

    /// Where the installation is in its life.
    pub(super) fn life(&self) -> &str {
        self.installations.first().map_or("unknown", |row| row.life.as_str())
    }
}

/// A JSON number, or the text of one.
pub(super) fn number(raw: &RawValue) -> Result<i128, NotADecimal> {
    parse_decimal(raw.get().trim_matches('"'))
}

/// Dollars as cents.
pub(super) fn cents(text: &str) -> Result<i128, NotADecimal> {
    let nano = parse_decimal(text)?;
    if nano % 10_000_000 == 0 { Ok(nano / 10_000_000) } else { Err(NotADecimal) }
}

/// Lines as the referee writes them, sorted. `resources` are the ids, in the script's order.
pub(super) fn lines(items: &[ItemRow], resources: &[String]) -> Result<Vec<Line>, String> {
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        let owner = item.resource_id.as_ref().and_then(|id| resources.iter().position(|known| known == id));
        let resource = owner.ok_or_else(|| format!("a line is of no resource of the demo: {:?}", item.resource_id))?;
        let wrong = |_| "a line has an amount that is no decimal".to_owned();
        lines.push(Line {
            resource,
            plan: item.billing_plan_id.clone(),
            price: parse_decimal(&item.price).map_err(wrong)?,
            quantity: number(&item.quantity).map_err(wrong)?,
            total: cents(&item.total).map_err(wrong)?,
        });
    }
    lines.sort();
    Ok(lines)
}
