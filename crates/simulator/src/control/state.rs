//! `GET /_sim/state`: Vercel's state, sorted by key, the same to the byte for the same history.
//!
//! One object with a section a kind: `actions` (of deployments), `balances`, `configs` (digests), `connections`,
//! `events` (what the provider told, A.7), `installations`, `interim`, `invoices`, `items` (of experimentation),
//! `purchases`, `resources`, `secrets` (digests), `webhooks` (deliveries and their fate), and `now`. A page has
//! [`PAGE_ROWS`] rows; `next` is the `cursor` of the next one, or null.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Inner;
use crate::control::Answer;
use crate::json::sorted;
use crate::model::HIDDEN;
use crate::refusal::{Refusal, json_response};
use crate::table::{Row, Table};

/// The most rows of a page.
pub(crate) const PAGE_ROWS: usize = 1_000;

/// Collects one page.
struct Page {
    installation: Option<String>,
    /// Section and key after which the page begins.
    after: Option<(String, String)>,
    room: usize,
    /// The last row shown.
    last: Option<String>,
    is_full: bool,
    members: BTreeMap<&'static str, Box<RawValue>>,
}

impl Page {
    fn section<R: Row>(&mut self, name: &'static str, table: &Table<R>) -> Result<(), serde_json::Error> {
        let mut rows: Vec<Box<RawValue>> = Vec::new();
        let owner = self.installation.clone().unwrap_or_default();
        let is_owned = |key: &str| owner.is_empty() || key.split('/').next() == Some(&owner);
        let is_shown = |key: &str| {
            self.after.as_ref().is_none_or(|(section, after)| (section.as_str(), after.as_str()) < (name, key))
        };
        for (key, row) in table.under(&owner).filter(|(key, _)| is_owned(key) && is_shown(key)) {
            if self.room == 0 {
                self.is_full = true;
                break;
            }
            self.room -= 1;
            self.last = Some(format!("{name}/{key}"));
            rows.push(sorted(row, HIDDEN)?);
        }
        self.member(name, &rows)
    }

    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), serde_json::Error> {
        self.members.insert(name, to_raw_value(value)?);
        Ok(())
    }
}

/// A page of the state, of one installation or of all.
pub(crate) fn show(simulator: &Inner, installation: Option<String>, cursor: Option<&str>) -> Answer {
    let wrong = || Refusal::bad_request("cursor is the `next` of another page");
    let after = cursor.map(|cursor| cursor.split_once('/').ok_or_else(wrong)).transpose()?;
    let after = after.map(|(section, key)| (section.to_owned(), key.to_owned()));
    let members = BTreeMap::new();
    let mut page = Page { installation, after, room: PAGE_ROWS, last: None, is_full: false, members };
    let result = simulator.store.read(|world| {
        page.section("actions", &world.actions)?;
        page.section("balances", &world.balances)?;
        page.section("configs", &world.configs)?;
        page.section("connections", &world.connections)?;
        page.section("events", &world.events)?;
        page.section("installations", &world.installations)?;
        page.section("interim", &world.interim)?;
        page.section("invoices", &world.invoices)?;
        page.section("items", &world.items)?;
        page.section("purchases", &world.purchases)?;
        page.section("resources", &world.resources)?;
        page.section("secrets", &world.secrets)?;
        page.section("webhooks", &world.deliveries)?;
        let next = page.last.take().filter(|_| page.is_full);
        page.member("next", &next)?;
        page.member("now", &simulator.now())
    });
    result.map_err(|error| Refusal::internal(format!("the state is no JSON: {error}")))?;
    Ok(json_response(StatusCode::OK, &page.members))
}
