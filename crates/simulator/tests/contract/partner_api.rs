//! The Partner API (spec B): every body that a provider reads or writes, as drawn, against the document.
//!
//! The document was rebuilt by hand from Vercel's pages and lacks some refusals (401): those follow the text.

use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use tradepost_marketplace::partner::UpsertInstallation;
use tradepost_marketplace::wire::Exposed;

use crate::schema::Document;
use crate::strategies::{self, partner};

/// How often each body is drawn.
const CASES: u32 = 64;

/// Checks bodies of one document and remembers which operations they were of.
struct Bench {
    document: Document,
    seen: BTreeSet<usize>,
}

impl Bench {
    fn find(&mut self, method: &str, path: &str) -> usize {
        let found = self.document.find(method, path).unwrap_or_else(|| panic!("{method} {path} is not documented"));
        self.seen.insert(found);
        found
    }

    fn request<T: Debug>(
        &mut self,
        method: &str,
        path: &str,
        draw: impl Strategy<Value = T>,
        write: fn(&T) -> Vec<u8>,
    ) {
        let found = self.find(method, path);
        let operation = &self.document.operations[found];
        check(draw, |value| operation.request_faults(&write(value)), &operation.name());
    }

    fn answer<T: Debug>(
        &mut self,
        (method, path, status): (&str, &str, u16),
        draw: impl Strategy<Value = T>,
        write: fn(&T) -> Vec<u8>,
    ) {
        let found = self.find(method, path);
        let operation = &self.document.operations[found];
        check(draw, |value| operation.answer_faults(status, &write(value)), &operation.name());
    }

    fn empty(&mut self, method: &str, path: &str, status: u16) {
        let found = self.find(method, path);
        assert_eq!(self.document.operations[found].answer_faults(status, b""), Vec::<String>::new(), "{method} {path}");
    }
}

fn check<T: Debug>(draw: impl Strategy<Value = T>, faults: impl Fn(&T) -> Vec<String>, name: &str) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let run = TestRunner::new(config).run(&draw, |value| {
        prop_assert_eq!(faults(&value), Vec::<String>::new());
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn plain<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn exposed<T>(value: &T) -> Vec<u8>
where
    for<'a> Exposed<'a, T>: Serialize,
{
    serde_json::to_vec(&Exposed(value)).unwrap()
}

const INSTALLATION: &str = "/v1/installations/icfg_1";
const RESOURCES: &str = "/v1/installations/icfg_1/resources";
const RESOURCE: &str = "/v1/installations/icfg_1/resources/r1";
const TRANSFERS: &str = "/v1/installations/icfg_1/resource-transfer-requests";

#[test]
fn every_body_of_the_partner_api_is_as_documented() {
    let mut bench = Bench { document: Document::open("partner.json"), seen: BTreeSet::new() };
    installations(&mut bench);
    resources(&mut bench);
    money_and_transfers(&mut bench);
    let missing: Vec<_> = (0..bench.document.operations.len()).filter(|n| !bench.seen.contains(n)).collect();
    let missing: Vec<_> = missing.into_iter().map(|n| bench.document.operations[n].name()).collect();
    assert!(missing.is_empty(), "operations without a draw: {missing:?}");
}

fn installations(bench: &mut Bench) {
    bench.answer(("GET", INSTALLATION, 200), partner::installation(), plain);
    // Older payloads have no account, and a contact may be missing later; those of today have both.
    let has_contact = |it: &UpsertInstallation| it.account.as_ref().is_some_and(|account| account.contact.is_some());
    let upsert = partner::upsert_installation().prop_filter("B.2 has a contact", has_contact);
    bench.request("PUT", INSTALLATION, upsert, exposed);
    bench.answer(("PUT", INSTALLATION, 200), partner::installation(), plain);
    bench.empty("PUT", INSTALLATION, 204);
    bench.request("PATCH", INSTALLATION, partner::update_installation(), plain);
    bench.answer(("PATCH", INSTALLATION, 200), partner::installation(), plain);
    bench.request("DELETE", INSTALLATION, partner::delete_installation(), plain);
    bench.answer(("DELETE", INSTALLATION, 200), partner::installation_deleted(), plain);
    bench.empty("DELETE", INSTALLATION, 204);
    for path in ["/v1/products/db/plans", &format!("{INSTALLATION}/plans"), &format!("{RESOURCE}/plans")] {
        bench.answer(("GET", path, 200), partner::plan_list(), plain);
        bench.answer(("GET", path, 403), partner::error_envelope(), plain);
    }
}

fn resources(bench: &mut Bench) {
    bench.answer(("GET", RESOURCES, 200), partner::resource_list(), plain);
    bench.request("POST", RESOURCES, partner::provision_resource(), plain);
    let provisioned = partner::resource().prop_filter("B.6 carries secrets", |it| it.secrets.is_some());
    bench.answer(("POST", RESOURCES, 200), provisioned, exposed);
    bench.answer(("POST", RESOURCES, 400), partner::error_envelope(), plain);
    bench.answer(("GET", RESOURCE, 200), partner::resource(), plain);
    bench.request("PATCH", RESOURCE, partner::update_resource(), plain);
    bench.answer(("PATCH", RESOURCE, 200), partner::resource(), plain);
    bench.empty("DELETE", RESOURCE, 204);
    let rotate = format!("{RESOURCE}/secrets/rotate");
    bench.request("POST", &rotate, partner::rotate_secrets(), plain);
    let now = partner::rotation_answer().prop_filter("200", |it| it.status() == 200);
    bench.answer(("POST", &rotate, 200), now, exposed);
    let later = partner::rotation_answer().prop_filter("202", |it| it.status() == 202);
    bench.answer(("POST", &rotate, 202), later, exposed);
    let repl = format!("{RESOURCE}/repl");
    bench.request("POST", &repl, partner::repl_input(), plain);
    // Its output has no schema in the document: blocks in JSON or JSON lines.
}

fn money_and_transfers(bench: &mut Bench) {
    let purchase = format!("{INSTALLATION}/billing/provision");
    bench.request("POST", &purchase, partner::provision_purchase(), plain);
    bench.answer(("POST", &purchase, 200), strategies::balances(), plain);
    bench.request("POST", TRANSFERS, partner::create_transfer(), plain);
    bench.answer(("POST", TRANSFERS, 200), partner::transfer_created(), plain);
    let (verify, accept) = (format!("{TRANSFERS}/c1/verify"), format!("{TRANSFERS}/c1/accept"));
    bench.answer(("GET", &verify, 200), partner::transfer_verified(), plain);
    bench.answer(("GET", &verify, 422), partner::error_envelope(), plain);
    bench.empty("POST", &accept, 204);
}
