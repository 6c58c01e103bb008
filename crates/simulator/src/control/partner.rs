//! `POST /_sim/partner`: where the provider lives, and what Vercel's scheduler must call.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::control::{Act, Answer};
use crate::cron::Schedule;
use crate::model::{Cron, Partner};
use crate::refusal::{Refusal, json_response};

/// The most crons.
const CRONS_MAX: usize = 100;
/// How often a request may be sent at most.
const REPEAT_MAX: u32 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PartnerBody {
    base_url: String,
    redirect_login_url: Option<String>,
    webhook_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(default)]
    crons: Vec<CronBody>,
    cron_secret: Option<String>,
    repeat: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CronBody {
    path: String,
    schedule: String,
}

fn check_url(name: &str, text: &str) -> Result<(), Refusal> {
    let is_http = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_http { Ok(()) } else { Err(Refusal::bad_request(format!("{name} is not an http(s) URL"))) }
}

/// Registers the provider; what is not said is derived from the seed or from `baseUrl`, and answered.
pub(crate) fn register(act: &Act<'_>, body: PartnerBody) -> Answer {
    let simulator = act.simulator;
    let seed = simulator.store.read(|world| world.seed.clone());
    let base_url = body.base_url.trim_end_matches('/').to_owned();
    let redirect_login_url = body.redirect_login_url.unwrap_or_else(|| format!("{base_url}/callback"));
    let webhook_url = body.webhook_url.unwrap_or_else(|| format!("{base_url}/webhooks/vercel"));
    check_url("baseUrl", &base_url)?;
    check_url("redirectLoginUrl", &redirect_login_url)?;
    check_url("webhookUrl", &webhook_url)?;
    let client_id = body.client_id.unwrap_or_else(|| format!("oac_{}", seed.letters("client id", 24)));
    let repeat = body.repeat.unwrap_or(1);
    if !(1..=REPEAT_MAX).contains(&repeat) || body.crons.len() > CRONS_MAX {
        return Err(Refusal::bad_request(format!("repeat is from 1 to {REPEAT_MAX}, crons are at most {CRONS_MAX}")));
    }
    let mut answer = json!({
        "baseUrl": base_url, "redirectLoginUrl": redirect_login_url, "webhookUrl": webhook_url,
        "clientId": client_id, "issuer": simulator.issuer(), "repeat": repeat,
    });
    // Only secrets that are made here are answered: the caller knows the others.
    let mut secret = |name: &str, given: Option<String>| {
        let text = given.unwrap_or_else(|| {
            let made = simulator.tell(seed.letters(name, 32));
            answer[name] = json!(made);
            made
        });
        simulator.store.seal(text.as_bytes())
    };
    let client_secret = secret("clientSecret", body.client_secret);
    let cron_secret = secret("cronSecret", body.cron_secret);
    let crons = body.crons.into_iter().map(|cron| checked_cron(simulator.now(), cron));
    let crons = crons.collect::<Result<Vec<Cron>, Refusal>>()?;
    simulator.store.write(|world| {
        let old: Vec<(String, Cron)> = world.crons.iter().map(|(key, cron)| (key.clone(), cron.clone())).collect();
        for (key, _) in &old {
            world.crons.remove(key);
        }
        for (n, mut cron) in crons.into_iter().enumerate() {
            // The same cron registered again keeps its turn.
            let same = old.iter().find(|(_, it)| it.path == cron.path && it.schedule == cron.schedule);
            cron.due = same.map_or(cron.due, |(_, it)| it.due);
            world.crons.put(&format!("{n:03}"), cron);
        }
        let partner =
            Partner { base_url, redirect_login_url, webhook_url, client_id, client_secret, cron_secret, repeat };
        world.set_partner(partner);
        Ok(())
    })?;
    Ok(json_response(StatusCode::OK, &answer))
}

fn checked_cron(now: jiff::Timestamp, cron: CronBody) -> Result<Cron, Refusal> {
    let schedule = Schedule::parse(&cron.schedule).map_err(|why| Refusal::bad_request(format!("crons: {why}")))?;
    if !cron.path.starts_with('/') {
        return Err(Refusal::bad_request("crons: a path begins with a slash"));
    }
    Ok(Cron { path: cron.path, schedule: cron.schedule, due: schedule.next_after(now) })
}
