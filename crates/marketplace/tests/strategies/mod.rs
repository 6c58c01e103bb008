//! Draws of every model of the wire, with every optional field there or not.
//!
//! Used by the round-trip tests beside it and by the contract test of the simulator, which sends what is drawn
//! here and checks it against Vercel's schemas. What is drawn is valid: what cannot be built is not here.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by several tests; a test fails by panicking"
)]

pub mod client;
pub mod partner;

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use secrecy::SecretString;
use tradepost_marketplace::ids::{ExternalInvoiceId, InvoiceId, PlanId, ProductId, ResourceId};
use tradepost_marketplace::money::{Decimal, Money, Number};
use tradepost_marketplace::wire::{
    Account, Balance, Balances, Billing, BillingData, BillingPlan, Change, Contact, Discount, EnvironmentOverrides,
    Invoice, InvoiceRequest, InvoiceState, LineItem, Link, MarketplaceEvent, Metadata, Notification, NotificationLevel,
    Ownership, Period, PlanDetail, PlanKind, PlanScope, Refund, ResourceStatus, Secret, TestInvoice, TestResult, Usage,
    UsageKind,
};

/// Words with what breaks a careless writer of JSON: quotes, backslashes, line ends, other scripts.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zA-Z0-9 ._-]{1,16}", 1 => "\\PC{1,12}", 1 => Just("\"\\\n\u{2028}ß漢".to_owned())]
}

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    // 2020 to 2040, in milliseconds.
    (1_577_836_800_000_i64..2_208_988_800_000).prop_map(|at| Timestamp::from_millisecond(at).unwrap())
}

/// An id as providers and Vercel write them.
fn id_text() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_.:-]{0,23}"
}

pub fn resource_id() -> impl Strategy<Value = ResourceId> {
    id_text().prop_map(|id| ResourceId::new(id).unwrap())
}

pub fn plan_id() -> impl Strategy<Value = PlanId> {
    id_text().prop_map(|id| PlanId::new(id).unwrap())
}

pub fn product_id() -> impl Strategy<Value = ProductId> {
    id_text().prop_map(|id| ProductId::new(id).unwrap())
}

pub fn external_invoice_id() -> impl Strategy<Value = ExternalInvoiceId> {
    id_text().prop_map(|id| ExternalInvoiceId::new(id).unwrap())
}

pub fn invoice_id() -> impl Strategy<Value = InvoiceId> {
    id_text().prop_map(|id| InvoiceId::new(id).unwrap())
}

/// A decimal of any length.
pub fn decimal() -> impl Strategy<Value = Decimal> {
    "[0-9]{1,60}(\\.[0-9]{1,60})?".prop_map(|text| Decimal::new(text).unwrap())
}

/// An amount of cents, written in any of the ways that mean the same.
pub fn amount() -> impl Strategy<Value = Decimal> {
    "0{0,3}[0-9]{1,9}(\\.[0-9]{1,2}0{0,9})?".prop_map(|text| Decimal::new(text).unwrap())
}

/// A number in any notation, within what a double can hold.
pub fn number() -> impl Strategy<Value = Number> {
    "(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?".prop_map(|text| Number::new(text).unwrap())
}

pub fn metadata() -> impl Strategy<Value = Metadata> {
    let value = prop_oneof![
        text().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        vec(text(), 0..3).prop_map(serde_json::Value::from),
        vec(any::<i32>(), 0..3).prop_map(serde_json::Value::from),
    ];
    vec(("[a-z][a-zA-Z0-9]{0,11}", value), 0..4).prop_map(|fields| fields.into_iter().collect())
}

prop_compose! {
    pub fn period()(start in timestamp(), length in 1_i64..100_000_000_000) -> Period {
        let end = Timestamp::from_millisecond(start.as_millisecond() + length).unwrap();
        Period::new(start, end).unwrap()
    }
}

prop_compose! {
    fn span()(span in period(), start: bool, end: bool) -> (Option<Timestamp>, Option<Timestamp>) {
        (start.then_some(span.start), end.then_some(span.end))
    }
}

prop_compose! {
    pub fn line_item()(
        billing_plan_id in plan_id(), resource_id in of(resource_id()), (start, end) in span(), name in text(),
        details in of(text()), price in decimal(), quantity in number(), units in text(), total in amount(),
    ) -> LineItem {
        LineItem { billing_plan_id, resource_id, start, end, name, details, price, quantity, units, total }
    }
}

prop_compose! {
    pub fn discount()(
        billing_plan_id in plan_id(), resource_id in of(resource_id()), (start, end) in span(), name in text(),
        details in of(text()), amount in amount(),
    ) -> Discount {
        Discount { billing_plan_id, resource_id, start, end, name, details, amount }
    }
}

pub fn usage_kind() -> impl Strategy<Value = UsageKind> {
    prop_oneof![Just(UsageKind::Total), Just(UsageKind::Interval), Just(UsageKind::Rate)]
}

prop_compose! {
    pub fn usage()(
        resource_id in of(resource_id()), name in text(), kind in usage_kind(), units in text(), day_value in number(),
        period_value in number(), plan_value in of(number()),
    ) -> Usage {
        Usage { resource_id, name, kind, units, day_value, period_value, plan_value }
    }
}

prop_compose! {
    pub fn billing()(items in vec(line_item(), 0..3), discounts in vec(discount(), 0..3)) -> Billing {
        Billing { items, discounts }
    }
}

prop_compose! {
    pub fn billing_data()(
        timestamp in timestamp(), part in 0_i64..=1_000, period in period(), billing in billing(),
        usage in vec(usage(), 0..3),
    ) -> BillingData {
        let length = period.end.as_millisecond() - period.start.as_millisecond();
        let eod = Timestamp::from_millisecond(period.start.as_millisecond() + length * part / 1_000).unwrap();
        BillingData::new(timestamp, eod, period, billing, usage).unwrap()
    }
}

prop_compose! {
    pub fn balance()(
        resource_id in of(resource_id()), cents in 0_i64..1_000_000_000, credit in of(text()), name_label in of(text()),
    ) -> Balance {
        let currency_value_in_cents = Number::from_cents(Money::from_cents(cents));
        Balance { resource_id, currency_value_in_cents, credit, name_label }
    }
}

prop_compose! {
    pub fn balances()(timestamp in timestamp(), balances in vec(balance(), 0..4)) -> Balances {
        Balances { timestamp, balances }
    }
}

pub fn test_result() -> impl Strategy<Value = TestResult> {
    prop_oneof![Just(TestResult::Paid), Just(TestResult::NotPaid), Just(TestResult::Overdue)]
}

prop_compose! {
    pub fn test_invoice()(validate in of(any::<bool>()), result in of(test_result())) -> TestInvoice {
        TestInvoice { validate, result }
    }
}

prop_compose! {
    pub fn invoice_request()(
        external_id in external_invoice_id(), period in period(), part in 0_i64..1_000, items in vec(line_item(), 1..4),
        discounts in vec(discount(), 0..3), memo in of(text()), is_final: bool, test in of(test_invoice()),
    ) -> InvoiceRequest {
        let length = period.end.as_millisecond() - period.start.as_millisecond();
        let at = period.start.as_millisecond() + (length - 1) * part / 1_000;
        let at = Timestamp::from_millisecond(at).unwrap();
        let request = InvoiceRequest::new(external_id.clone(), period, at, items.clone(), discounts)
            // The discounts that are drawn may exceed the lines.
            .or_else(|_| InvoiceRequest::new(external_id, period, at, items, Vec::new()))
            .unwrap();
        let request = memo.into_iter().fold(request, InvoiceRequest::with_memo);
        let request = if is_final { request.as_final() } else { request };
        test.into_iter().fold(request, InvoiceRequest::as_test)
    }
}

pub fn invoice_state() -> impl Strategy<Value = InvoiceState> {
    let known = [
        "draft",
        "pending",
        "scheduled",
        "invoiced",
        "paid",
        "notpaid",
        "overdue",
        "refund_requested",
        "refunded",
        "one of tomorrow",
    ];
    proptest::sample::select(known.to_vec()).prop_map(InvoiceState::from)
}

prop_compose! {
    fn refund_facts()(
        refund_total in of(decimal()), refund_reason in of(text()), refunded_at in of(timestamp()),
        paid_at in of(timestamp()), created in of(timestamp()), updated in of(timestamp()),
    ) -> (Option<Decimal>, Option<String>, [Option<Timestamp>; 4]) {
        (refund_total, refund_reason, [refunded_at, paid_at, created, updated])
    }
}

prop_compose! {
    pub fn invoice()(
        (invoice_id, external_id) in (invoice_id(), of(external_invoice_id())), state in invoice_state(),
        invoice_date in timestamp(), period in period(), total in decimal(), items in vec(line_item(), 0..3),
        discounts in of(vec(discount(), 0..3)), (invoice_number, memo) in (of(text()), of(text())),
        test in of(any::<bool>()), facts in refund_facts(),
    ) -> Invoice {
        let (refund_total, refund_reason, [refunded_at, paid_at, created, updated]) = facts;
        Invoice {
            invoice_id, state, invoice_date, period, total, items, discounts, external_id, invoice_number, memo, test,
            refund_total, refund_reason, refunded_at, paid_at, created, updated,
        }
    }
}

prop_compose! {
    pub fn refund()(cents in 1_i64..1_000_000_000, reason in text()) -> Refund {
        Refund::new(Money::from_cents(cents), reason).unwrap()
    }
}

pub fn plan_kind() -> impl Strategy<Value = PlanKind> {
    prop_oneof![Just(PlanKind::Prepayment), Just(PlanKind::Subscription)]
}

pub fn plan_scope() -> impl Strategy<Value = PlanScope> {
    prop_oneof![Just(PlanScope::Installation), Just(PlanScope::Resource)]
}

prop_compose! {
    pub fn plan_detail()(label in text(), value in of(text())) -> PlanDetail {
        PlanDetail { label, value }
    }
}

prop_compose! {
    fn plan_amounts()(
        initial_charge in of(decimal()), minimum_amount in of(decimal()), maximum_amount in of(decimal()),
        maximum_amount_auto_purchase_per_period in of(decimal()), preauthorization_amount in of(number()),
    ) -> ([Option<Decimal>; 4], Option<Number>) {
        let texts = [initial_charge, minimum_amount, maximum_amount, maximum_amount_auto_purchase_per_period];
        (texts, preauthorization_amount)
    }
}

prop_compose! {
    pub fn billing_plan()(
        (id, kind, scope) in (plan_id(), plan_kind(), plan_scope()), (name, description) in (text(), text()),
        payment_method_required: bool, amounts in plan_amounts(), cost in of(text()),
        details in vec(plan_detail(), 0..3), highlighted_details in vec(plan_detail(), 0..3),
        effective_date in of(timestamp()), disabled in of(any::<bool>()),
    ) -> BillingPlan {
        let (texts, preauthorization_amount) = amounts;
        let [initial_charge, minimum_amount, maximum_amount, maximum_amount_auto_purchase_per_period] = texts;
        BillingPlan {
            scope, payment_method_required, preauthorization_amount, initial_charge, minimum_amount, maximum_amount,
            maximum_amount_auto_purchase_per_period, cost, details, highlighted_details, effective_date, disabled,
            ..BillingPlan::new(id, kind, name, description)
        }
    }
}

pub fn status() -> impl Strategy<Value = ResourceStatus> {
    let known = ["ready", "pending", "onboarding", "suspended", "resumed", "uninstalled", "error"];
    proptest::sample::select(known.to_vec()).prop_map(ResourceStatus::from)
}

pub fn ownership() -> impl Strategy<Value = Ownership> {
    proptest::sample::select(["owned", "linked", "sandbox"].as_slice()).prop_map(Ownership::from)
}

/// Where a link may lead (spec A, `Notification`).
pub fn href() -> impl Strategy<Value = String> {
    "(https://|http://|sso:https://)[a-z]{1,12}\\.example/[a-z0-9/?=&-]{0,20}"
}

pub fn link() -> impl Strategy<Value = Link> {
    href().prop_map(|text| Link::new(text).unwrap())
}

prop_compose! {
    pub fn notification()(
        level in prop_oneof![
            Just(NotificationLevel::Info),
            Just(NotificationLevel::Warn),
            Just(NotificationLevel::Error),
        ],
        title in "[a-zA-Z0-9 .]{1,100}", message in of(text()), href in of(link()),
    ) -> Notification {
        let notification = Notification::new(level, title).unwrap();
        let notification = message.into_iter().fold(notification, Notification::with_message);
        href.into_iter().fold(notification, Notification::with_href)
    }
}

/// Left alone, cleared or set.
pub fn change<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Change<T>> {
    (0..3, value).prop_map(|(which, value)| match which {
        0 => Change::Keep,
        1 => Change::Clear,
        _ => Change::Set(value),
    })
}

pub fn secret_text() -> impl Strategy<Value = SecretString> {
    text().prop_map(SecretString::from)
}

prop_compose! {
    pub fn environment_overrides()(
        development in of(secret_text()), preview in of(secret_text()), production in of(secret_text()),
        others in proptest::collection::btree_map("env-[a-z]{1,8}", secret_text(), 0..3),
    ) -> EnvironmentOverrides {
        EnvironmentOverrides { development, preview, production, others }
    }
}

prop_compose! {
    pub fn secret()(
        name in "[A-Z][A-Z0-9_]{0,19}", value in secret_text(), prefix in of("[A-Z]{1,6}"),
        environment_overrides in of(environment_overrides()),
    ) -> Secret {
        let secret = Secret::new(name, value).unwrap();
        let secret = prefix.into_iter().fold(secret, Secret::with_prefix);
        environment_overrides.into_iter().fold(secret, Secret::with_overrides)
    }
}

prop_compose! {
    pub fn contact()(email in "[a-z]{1,8}@[a-z]{1,8}\\.example", name in of(text())) -> Contact {
        Contact { email, name }
    }
}

prop_compose! {
    pub fn account()(
        name in of(text()), url in "https://vercel\\.com/[a-z]{1,12}", contact in of(contact()),
    ) -> Account {
        Account { name, url, contact }
    }
}

pub fn event() -> impl Strategy<Value = MarketplaceEvent> {
    prop_oneof![
        of(plan_id()).prop_map(|billing_plan_id| MarketplaceEvent::InstallationUpdated { billing_plan_id }),
        (resource_id(), of(product_id()))
            .prop_map(|(resource_id, product_id)| MarketplaceEvent::ResourceUpdated { resource_id, product_id }),
    ]
}

/// Policies and when they were accepted.
pub fn policies() -> impl Strategy<Value = BTreeMap<String, Timestamp>> {
    proptest::collection::btree_map("[a-z]{1,8}", timestamp(), 0..3)
}
