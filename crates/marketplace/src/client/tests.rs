//! The client against a scripted network: what is sent, what is repeated, and what a failure claims.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::doors::{Entropy, Sleeper};
use crate::endpoint::checked;
use crate::http_door::{Http, HttpError};
use crate::ids::{ClientId, InvoiceId, PlanId, ResourceId};
use crate::money::Money;
use crate::scripted::{Step, World, answer, no_answer, not_sent};
use crate::wire::{
    BillingData, Change, InvoiceRequest, MarketplaceEvent, Notification, NotificationLevel, Refund, ResourceStatus,
    Secret,
};

const DEADLINE: Duration = Duration::from_mins(1);

struct Bench {
    world: Arc<World>,
    client: Client,
    token: SecretString,
    installation: InstallationId,
    deadline: Timestamp,
}

impl Bench {
    fn new(script: Vec<Step>) -> Self {
        let world = World::new(script);
        let client = Client::new(
            Arc::clone(&world) as Arc<dyn Http>,
            checked("https://vercel.test/api").unwrap(),
            world.lease(),
            Arc::clone(&world) as Arc<dyn Sleeper>,
            Arc::clone(&world) as Arc<dyn Entropy>,
        );
        let deadline = world.now() + jiff::SignedDuration::try_from(DEADLINE).unwrap();
        let installation = InstallationId::new("icfg_1").unwrap();
        Self { world, client, token: "t0ken".into(), installation, deadline }
    }

    fn call(&self) -> Call<'_> {
        Call { token: &self.token, installation: &self.installation, deadline: self.deadline }
    }

    fn tries(&self) -> usize {
        self.world.requests.lock().unwrap().len()
    }

    /// Method, address and body of the only request.
    fn sent(&self) -> (Method, String, String) {
        let requests = self.world.requests.lock().unwrap();
        let [(request, _)] = requests.as_slice() else { panic!("{} requests", requests.len()) };
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        (request.method().clone(), request.uri().to_string(), body)
    }

    async fn event(&self) -> Result<(), ClientError> {
        let event = MarketplaceEvent::InstallationUpdated { billing_plan_id: None };
        self.client.create_event(&self.call(), &event).await
    }

    async fn submit(&self) -> Result<SubmittedInvoice, ClientError> {
        self.client.submit_invoice(&self.call(), &invoice()).await
    }

    async fn refund(&self) -> Result<(), ClientError> {
        let refund = Refund { total: Money::from_cents(250), reason: "late".to_owned() };
        self.client.refund_invoice(&self.call(), &InvoiceId::new("mi_1").unwrap(), &refund).await
    }

    async fn exchange(&self) -> Result<SsoTokens, ClientError> {
        let (code, client_secret) = ("c0de".into(), "cl1ent".into());
        let exchange = SsoExchange {
            code: &code,
            state: Some("s"),
            client_id: &ClientId::new("oac_1").unwrap(),
            client_secret: &client_secret,
            redirect_uri: None,
        };
        self.client.exchange_code(&exchange, self.deadline).await
    }
}

fn invoice() -> InvoiceRequest {
    serde_json::from_str(INVOICE).unwrap()
}

const INVOICE: &str = r#"{"externalId":"inv-1","invoiceDate":"2027-01-31T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"items":[{"billingPlanId":"m","name":"Queries","price":"0.000025","quantity":123600.5,"units":"queries","total":"3.09"}]}"#;

const SUBMITTED: &str = r#"{"invoiceId":"mi_1","new":1}"#;

fn refused(status: u16) -> Step {
    answer(status, r#"{"error":{"code":"some_code","message":"some words"}}"#)
}

#[tokio::test]
async fn each_operation_sends_what_the_spec_says() {
    type Sent = (Method, &'static str, String);
    async fn sent(status: u16, body: &str, call: impl AsyncFnOnce(&Bench)) -> (Method, String, String) {
        let bench = Bench::new(vec![answer(status, body)]);
        call(&bench).await;
        bench.sent()
    }
    let same = |(method, url, body): (Method, String, String), expected: Sent| {
        let (path, expected_body) = (format!("https://vercel.test/api/v1{}", expected.1), expected.2);
        assert_eq!((method, url, body), (expected.0, path, expected_body));
    };

    let got = sent(204, "", async |b| {
        let note = Notification::new(NotificationLevel::Error, "Unpaid");
        let patch = InstallationPatch {
            status: Some(ResourceStatus::Suspended),
            notification: Change::Set(note),
            ..<_>::default()
        };
        b.client.update_installation(&b.call(), &patch).await.unwrap();
    });
    let body = r#"{"status":"suspended","notification":{"level":"error","title":"Unpaid"}}"#;
    same(got.await, (Method::PATCH, "/installations/icfg_1", body.to_owned()));

    let got = sent(204, "", async |b| b.client.finalize_installation(&b.call()).await.unwrap());
    same(got.await, (Method::POST, "/installations/icfg_1/billing/finalize", String::new()));

    let got = sent(200, r#"{"url":"https://vercel.com/x","contact":null}"#, async |b| {
        assert!(b.client.account(&b.call()).await.unwrap().contact.is_none());
    });
    same(got.await, (Method::GET, "/installations/icfg_1/account", String::new()));

    let got = sent(201, "", async |b| {
        let resource_id = ResourceId::new("r\\1").unwrap();
        let event = MarketplaceEvent::ResourceUpdated { resource_id, product_id: None };
        b.client.create_event(&b.call(), &event).await.unwrap();
    });
    let body = r#"{"event":{"type":"resource.updated","resourceId":"r\\1"}}"#;
    same(got.await, (Method::POST, "/installations/icfg_1/events", body.to_owned()));

    let data = r#"{"timestamp":"2027-01-02T10:00:00.000Z","eod":"2027-01-02T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"billing":{"items":[]},"usage":[{"name":"Q","type":"interval","units":"q","dayValue":0.1,"periodValue":123456789012.123456789}]}"#;
    let got = sent(201, "", async |b| {
        let data: BillingData = serde_json::from_str(data).unwrap();
        b.client.submit_billing_data(&b.call(), &data).await.unwrap();
    });
    same(got.await, (Method::POST, "/installations/icfg_1/billing", data.to_owned()));

    let got = sent(200, SUBMITTED, async |b| assert_eq!(b.submit().await.unwrap().invoice_id.as_str(), "mi_1"));
    same(got.await, (Method::POST, "/installations/icfg_1/billing/invoices", INVOICE.to_owned()));

    let got = sent(204, "", async |b| b.refund().await.unwrap());
    let body = r#"{"action":"refund","reason":"late","total":"2.50"}"#;
    same(got.await, (Method::POST, "/installations/icfg_1/billing/invoices/mi_1/actions", body.to_owned()));

    let got = sent(201, "", async |b| {
        let resource = ResourceId::new("r\\1").unwrap();
        b.client.update_secrets(&b.call(), &resource, &[Secret::new("KEY", "v4lue")], true).await.unwrap();
    });
    let body = r#"{"secrets":[{"name":"KEY","value":"v4lue"}],"partial":true}"#;
    same(got.await, (Method::PUT, "/installations/icfg_1/resources/r%5C1/secrets", body.to_owned()));

    let got = sent(200, r#"{"name":"db-2"}"#, async |b| {
        let plan =
            crate::wire::BillingPlan::new(PlanId::new("p").unwrap(), crate::wire::PlanKind::Subscription, "P", "");
        let secrets = SecretsPatch { secrets: vec![Secret::new("KEY", "v4lue")], partial: false };
        let patch = ResourcePatch {
            billing_plan: Some(plan),
            notification: Change::Clear,
            secrets: Some(secrets),
            ..<_>::default()
        };
        let updated = b.client.update_resource(&b.call(), &ResourceId::new("r1").unwrap(), &patch).await.unwrap();
        assert_eq!(updated.name, "db-2");
    });
    let body = r#"{"billingPlan":{"id":"p","type":"subscription","name":"P","description":"","scope":"resource","paymentMethodRequired":true},"notification":null,"secrets":{"secrets":[{"name":"KEY","value":"v4lue"}],"partial":false}}"#;
    same(got.await, (Method::PATCH, "/installations/icfg_1/resources/r1", body.to_owned()));

    let got = sent(200, r#"{"id_token":"a.b.c","access_token":null,"token_type":null}"#, async |b| {
        let tokens = b.exchange().await.unwrap();
        assert_eq!(tokens.id_token.expose_secret(), "a.b.c");
        assert!(tokens.access_token.is_none() && tokens.lifetime().is_none());
    });
    let body =
        r#"{"code":"c0de","client_id":"oac_1","client_secret":"cl1ent","grant_type":"authorization_code","state":"s"}"#;
    same(got.await, (Method::POST, "/integrations/sso/token", body.to_owned()));
}

#[tokio::test]
async fn the_token_goes_as_a_bearer_that_debug_does_not_show() {
    let bench = Bench::new(vec![answer(201, "")]);
    bench.event().await.unwrap();
    let requests = bench.world.requests.lock().unwrap();
    let headers = requests[0].0.headers();
    assert_eq!(headers["authorization"], "Bearer t0ken");
    assert_eq!(headers["content-type"], "application/json");
    for shown in
        [format!("{:?}", requests[0].0.headers()), format!("{:?}", bench.call()), format!("{:?}", bench.client)]
    {
        assert!(!shown.contains("t0ken"), "{shown}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_without_a_bearer() {
    let bench = Bench::new(vec![answer(200, r#"{"id_token":"a"}"#)]);
    bench.exchange().await.unwrap();
    assert!(!bench.world.requests.lock().unwrap()[0].0.headers().contains_key("authorization"));
}

type Script = fn() -> Vec<Step>;

/// One row: the script, how often it is tried, and what comes out, for an operation of each class.
#[tokio::test]
async fn repeats_and_conclusions_as_a_table() {
    let kind = |result: Result<(), ClientError>| match result {
        Ok(()) => "done".to_owned(),
        Err(error) => {
            let name = format!("{error:?}");
            let name: String = name.chars().take_while(char::is_ascii_alphabetic).collect();
            let retry = if error.is_retryable() { " retry" } else { "" };
            let maybe = if error.maybe_done() { " maybe" } else { "" };
            format!("{name}{retry}{maybe}")
        }
    };
    let rows: [(&str, Script, usize, &str); 33] = [
        // Repeatable
        ("event", || vec![no_answer(), refused(500), not_sent(), refused(429), answer(201, "")], 5, "done"),
        ("event", || (0..5).map(|_| not_sent()).collect(), 5, "NotSent retry"),
        ("event", || (0..5).map(|_| no_answer()).collect(), 5, "NoAnswer retry maybe"),
        ("event", || (0..5).map(|_| refused(503)).collect(), 5, "Server retry maybe"),
        ("event", || (0..5).map(|_| refused(429)).collect(), 5, "RateLimited retry"),
        ("event", || vec![no_answer(), not_sent(), not_sent(), not_sent(), not_sent()], 5, "NoAnswer retry maybe"),
        (
            "event",
            || vec![refused(502), refused(429), refused(429), refused(429), refused(429)],
            5,
            "NoAnswer retry maybe",
        ),
        ("event", || vec![refused(400)], 1, "Rejected"),
        ("event", || vec![refused(401)], 1, "Rejected"),
        ("event", || vec![refused(302)], 1, "Rejected"),
        ("event", || vec![refused(408), answer(201, "")], 2, "done"),
        ("event", || vec![refused(410)], 1, "Gone"),
        ("event", || vec![no_answer(), refused(409)], 2, "Rejected"),
        ("event", || vec![Step::Fail(HttpError::TooLarge)], 1, "Unreadable maybe"),
        // ByExternalId
        ("submit", || vec![no_answer(), answer(200, SUBMITTED)], 2, "done"),
        ("submit", || vec![refused(409)], 1, "Rejected"),
        ("submit", || vec![not_sent(), refused(409)], 2, "Rejected"),
        ("submit", || vec![refused(429), refused(409)], 2, "Rejected"),
        ("submit", || vec![no_answer(), refused(409)], 2, "MaybeDuplicate maybe"),
        ("submit", || vec![refused(500), refused(409)], 2, "MaybeDuplicate maybe"),
        ("submit", || vec![no_answer(), refused(400)], 2, "Rejected"),
        ("submit", || vec![answer(200, r#"{"validationErrors":["bad"],"test":true}"#)], 1, "InvalidInvoice"),
        ("submit", || vec![answer(200, "{}")], 1, "Unreadable maybe"),
        ("submit", || vec![answer(200, "not json")], 1, "Unreadable maybe"),
        // Last
        ("finalize", || vec![no_answer(), refused(403)], 2, "MaybeDuplicate maybe"),
        ("finalize", || vec![no_answer(), refused(410)], 2, "Gone"),
        ("finalize", || vec![refused(403)], 1, "Rejected"),
        // Never
        ("refund", || vec![not_sent(), refused(429), answer(204, "")], 3, "done"),
        ("refund", || vec![no_answer()], 1, "NoAnswer retry maybe"),
        ("refund", || vec![refused(500)], 1, "Server retry maybe"),
        ("refund", || vec![not_sent(), no_answer()], 2, "NoAnswer retry maybe"),
        ("exchange", || vec![no_answer()], 1, "NoAnswer retry maybe"),
        ("exchange", || vec![not_sent(), answer(200, r#"{"id_token":"a"}"#)], 2, "done"),
    ];
    for (operation, script, tries, outcome) in rows {
        let bench = Bench::new(script());
        let result = match operation {
            "event" => bench.event().await,
            "submit" => bench.submit().await.map(drop),
            "finalize" => bench.client.finalize_installation(&bench.call()).await,
            "refund" => bench.refund().await,
            _ => bench.exchange().await.map(drop),
        };
        let row = format!("{operation} {:?}", result.as_ref().err());
        assert_eq!((bench.tries(), bench.world.unspent(), kind(result).as_str()), (tries, 0, outcome), "{row}");
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_request_to_the_byte() {
    let bench = Bench::new(vec![no_answer(), answer(200, SUBMITTED)]);
    bench.submit().await.unwrap();
    let requests = bench.world.requests.lock().unwrap();
    let [(first, _), (second, _)] = requests.as_slice() else { panic!() };
    assert_eq!((first.uri(), first.headers(), first.body()), (second.uri(), second.headers(), second.body()));
}

#[tokio::test]
async fn delays_follow_the_schedule_and_what_vercel_asks() {
    let asks = Step::Answer(429, &[("retry-after", "3")], String::new());
    let bench = Bench::new(vec![no_answer(), no_answer(), asks, answer(201, "")]);
    bench.event().await.unwrap();
    let ms = |list: &[u64]| list.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
    assert_eq!(*bench.world.slept.lock().unwrap(), ms(&[100, 200, 3_400]));
}

#[tokio::test]
async fn the_deadline_bounds_tries_and_waits() {
    // A wait that would reach the deadline is not begun, and the caller hears how long it would be.
    let asks = Step::Answer(429, &[("retry-after", "90")], String::new());
    let bench = Bench::new(vec![asks]);
    let error = bench.event().await.unwrap_err();
    assert_eq!(error, ClientError::RateLimited { retry_after: Some(Duration::from_secs(90)) });
    assert!(bench.world.slept.lock().unwrap().is_empty());

    // A try gets what is left of the deadline, at most its own timeout.
    let slow = |seconds| Step::After(Duration::from_secs(seconds), Box::new(no_answer()));
    let bench = Bench::new(vec![slow(10), slow(45), slow(5)]);
    assert_eq!(bench.event().await, Err(ClientError::NoAnswer));
    let timeouts: Vec<_> = bench.world.requests.lock().unwrap().iter().map(|(_, timeout)| *timeout).collect();
    assert_eq!(timeouts[..2], [TRY_TIMEOUT, TRY_TIMEOUT]);
    assert_eq!(timeouts[2], Duration::from_millis(4_700));

    // Past the deadline nothing is sent.
    let bench = Bench::new(vec![]);
    bench.world.advance(DEADLINE);
    assert_eq!(bench.event().await, Err(ClientError::Deadline));
    assert_eq!(bench.tries(), 0);
}

#[tokio::test]
async fn a_refusal_is_kept_as_data_and_its_words_only_where_they_quote_no_secret() {
    let body = r#"{"error":{"code":"bad_request","message":"eod is older than 24 h"}}"#;
    let with_id = || vec![Step::Answer(400, &[("x-vercel-id", "fra1::x")], body.to_owned())];
    let refusal = Bench::new(with_id()).event().await.unwrap_err().refusal().unwrap().clone();
    assert_eq!(refusal.to_string(), "400 bad_request: eod is older than 24 h");
    assert_eq!(refusal.vercel_id.as_deref(), Some("fra1::x"));

    let bench = Bench::new(vec![answer(422, r#"{"error":{"code":"bad_request","message":"v4lue is bad"}}"#)]);
    let resource = ResourceId::new("r1").unwrap();
    let secret = [Secret::new("KEY", "v4lue")];
    let error = bench.client.update_secrets(&bench.call(), &resource, &secret, false).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("v4lue") && error.status() == Some(422), "{error:?}");

    let bench = Bench::new(vec![answer(400, r#"{"error":"invalid_grant","error_description":"c0de was used"}"#)]);
    let error = bench.exchange().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().code, "invalid_grant");
    assert!(!format!("{error} {error:?}").contains("c0de"));

    let long = format!(r#"{{"error":{{"code":"c","message":"{}"}}}}"#, "é".repeat(600));
    let error = Bench::new(vec![answer(400, &long)]).event().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().message.chars().count(), REFUSAL_TEXT_CHARS_MAX);
    let error = Bench::new(vec![answer(404, "<html>")]).event().await.unwrap_err();
    assert_eq!((error.status(), error.refusal().unwrap().code.as_str()), (Some(404), ""));
}

#[tokio::test]
async fn what_cannot_be_written_is_not_sent() {
    let bench = Bench::new(vec![]);
    let refund = Refund { total: Money::from_cents(-1), reason: "r".to_owned() };
    let error = bench.client.refund_invoice(&bench.call(), &InvoiceId::new("mi_1").unwrap(), &refund).await;
    assert!(matches!(error, Err(ClientError::Unwritable(_))));
    let bench = Bench { token: "a\nb".into(), ..Bench::new(vec![]) };
    assert!(matches!(bench.event().await, Err(ClientError::Unwritable(_))));
}

#[tokio::test]
async fn an_invoice_is_read() {
    let body = r#"{"invoiceId":"mi_1","state":"refunded","invoiceDate":"2027-01-31T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00Z","end":"2027-02-01T00:00:00Z"},"total":"13.00","items":[],"created":"2027-02-01T06:00:00Z","updated":"2027-02-01T06:00:00Z","externalId":"inv-1","refundTotal":"2.50"}"#;
    let bench = Bench::new(vec![no_answer(), answer(200, body)]);
    let invoice = bench.client.get_invoice(&bench.call(), &InvoiceId::new("mi_1").unwrap()).await.unwrap();
    assert_eq!(invoice.refund_total.unwrap().money(), Ok(Money::from_cents(250)));
}
