//! What is sent: method, address, headers, body.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::ids::{PlanId, ProductId};
use crate::wire::{
    BillingData, BillingPlan, Change, ConfigDigest, ConfigUpdate, ImportResource, InstallationPatch, Notification,
    NotificationLevel, PlanKind, RawObject, ResourcePatch, ResourceStatus, RotateCredential, SecretsPatch,
};

pub(super) const DATA: &str = r#"{"timestamp":"2027-01-02T10:00:00.000Z","eod":"2027-01-02T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"billing":{"items":[]},"usage":[{"name":"Q","type":"interval","units":"q","dayValue":0.1,"periodValue":123456789012.123456789}]}"#;

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

/// What one call sent, when the answer is this.
async fn sent(status: u16, body: &str, call: impl AsyncFnOnce(&Bench)) -> (Method, String, String) {
    let bench = Bench::new(vec![answer(status, body)]);
    call(&bench).await;
    bench.sent()
}

fn same((method, url, body): (Method, String, String), expected: (Method, &'static str, String)) {
    let (path, expected_body) = (format!("https://vercel.test/api/v1{}", expected.1), expected.2);
    assert_eq!((method, url, body), (expected.0, path, expected_body));
}

async fn installations() {
    let got = sent(204, "", async |b| {
        let note = Notification::new(NotificationLevel::Error, "Unpaid").unwrap();
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
        let event = MarketplaceEvent::ResourceUpdated { resource_id: resource(), product_id: None };
        b.client.create_event(&b.call(), &event).await.unwrap();
    });
    let body = r#"{"event":{"type":"resource.updated","resourceId":"r\\1"}}"#;
    same(got.await, (Method::POST, "/installations/icfg_1/events", body.to_owned()));
}

async fn money() {
    let got = sent(201, "", async |b| {
        let data: BillingData = serde_json::from_str(DATA).unwrap();
        b.client.submit_billing_data(&b.call(), &data).await.unwrap();
    });
    same(got.await, (Method::POST, "/installations/icfg_1/billing", DATA.to_owned()));

    let got = sent(200, SUBMITTED, async |b| assert_eq!(b.submit().await.unwrap().invoice_id.as_str(), "mi_1"));
    same(got.await, (Method::POST, "/installations/icfg_1/billing/invoices", INVOICE.to_owned()));

    let got = sent(204, "", async |b| b.refund().await.unwrap());
    let body = r#"{"action":"refund","reason":"late","total":"2.50"}"#;
    same(got.await, (Method::POST, "/installations/icfg_1/billing/invoices/mi_1/actions", body.to_owned()));
}

async fn resources() {
    let got = sent(201, "", async |b| {
        b.client.update_secrets(&b.call(), &resource(), &SecretsUpdate::some(secrets())).await.unwrap();
    });
    let body = r#"{"secrets":[{"name":"KEY","value":"v4lue"}],"partial":true}"#;
    same(got.await, (Method::PUT, "/installations/icfg_1/resources/r%5C1/secrets", body.to_owned()));

    let got = sent(200, r#"{"name":"db-2"}"#, async |b| {
        let plan = BillingPlan::new(PlanId::new("p").unwrap(), PlanKind::Subscription, "P", "");
        let patch = ResourcePatch {
            billing_plan: Some(plan),
            notification: Change::Clear,
            secrets: Some(SecretsPatch::List(secrets())),
            ..<_>::default()
        };
        let updated = b.client.update_resource(&b.call(), &ResourceId::new("r1").unwrap(), &patch).await.unwrap();
        assert_eq!(updated.name, "db-2");
    });
    let body = r#"{"billingPlan":{"id":"p","type":"subscription","name":"P","description":"","scope":"resource","paymentMethodRequired":true},"notification":null,"secrets":[{"name":"KEY","value":"v4lue"}]}"#;
    same(got.await, (Method::PATCH, "/installations/icfg_1/resources/r1", body.to_owned()));

    let got = sent(200, r#"{"name":"Other"}"#, async |b| {
        let mut import = ImportResource::new(ProductId::new("db").unwrap(), "Main", ResourceStatus::Onboarding);
        import.extras = Some(RawObject::new(r#"{"rate":1.50}"#).unwrap());
        import.secrets = Some(secrets());
        assert_eq!(b.client.import_resource(&b.call(), &resource(), &import).await.unwrap().name, "Other");
    });
    let body = r#"{"productId":"db","name":"Main","status":"onboarding","extras":{"rate":1.50},"secrets":[{"name":"KEY","value":"v4lue"}]}"#;
    same(got.await, (Method::PUT, "/installations/icfg_1/resources/r%5C1", body.to_owned()));
}

async fn credentials() {
    let got = sent(200, r#"{"id_token":"a.b.c","access_token":null,"token_type":null}"#, async |b| {
        let tokens = b.exchange().await.unwrap();
        assert_eq!(tokens.id_token.expose_secret(), "a.b.c");
        assert!(tokens.access_token.is_none() && tokens.lifetime().is_none());
    });
    let body =
        r#"{"grant_type":"authorization_code","code":"c0de","client_id":"oac_1","client_secret":"cl1ent","state":"s"}"#;
    same(got.await, (Method::POST, "/integrations/sso/token", body.to_owned()));

    let got =
        sent(200, r#"{"access_token":"n3w","token_type":"oauth2-token","scope":"s","expires_in":60}"#, async |b| {
            let client_id = Some(ClientId::new("oac_1").unwrap());
            let proof = RotateCredential { client_secret: "cl1ent".into(), client_id };
            let rotated = b.client.rotate_credential(&b.call(), &proof).await.unwrap();
            assert_eq!(
                (rotated.access_token.expose_secret(), rotated.lifetime()),
                ("n3w", Some(Duration::from_mins(1)))
            );
        });
    let body = r#"{"client_secret":"cl1ent","client_id":"oac_1"}"#;
    same(got.await, (Method::POST, "/installations/icfg_1/credentials/rotate", body.to_owned()));
}

#[tokio::test]
async fn each_operation_sends_what_the_spec_says() {
    installations().await;
    money().await;
    resources().await;
    credentials().await;
}

#[tokio::test]
async fn a_config_is_asked_for_and_replaced_on_conditions() {
    let digest = ConfigDigest::new("d1").unwrap();
    let update = ConfigUpdate { data: RawObject::new(r#"{"a":5e-7}"#).unwrap() };
    let config = r#"{"items":{"a":1.50},"updatedAt":1801461600000,"digest":"d2","purpose":"flags"}"#;
    let header = |bench: &Bench, name: &str| {
        let requests = bench.world.requests.lock().unwrap();
        requests[0].0.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    for known in [None, Some(&digest)] {
        let tag = known.map(|_| "\"d1\"".to_owned());
        let bench = Bench::new(vec![answer(200, config)]);
        let read = bench.client.get_config(&bench.call(), &resource(), ConfigPath::Global, known).await.unwrap();
        let ConfigRead::Config(read) = read else { panic!() };
        assert_eq!((read.items.as_str(), read.digest.as_str()), (r#"{"a":1.50}"#, "d2"));
        assert_eq!((header(&bench, "if-none-match"), header(&bench, "if-match")), (tag.clone(), None));

        let tagged = Step::Answer(200, &[("etag", "W/\"d2\"")], String::new());
        let bench = Bench::new(vec![tagged]);
        let head = bench.client.head_config(&bench.call(), &resource(), ConfigPath::Edge, known).await.unwrap();
        assert_eq!(head, ConfigHead::Present(Some(ConfigDigest::new("d2").unwrap())));
        assert_eq!(header(&bench, "if-none-match"), tag);
        assert!(bench.sent().1.ends_with("/experimentation/edge-config"));

        let bench = Bench::new(vec![answer(200, config)]);
        let call = bench.call();
        let put = bench.client.put_config(&call, &resource(), ConfigPath::Global, &update, known).await.unwrap();
        assert!(matches!(put, ConfigWrite::Written(config) if config.digest.as_str() == "d2"));
        assert_eq!((header(&bench, "if-match"), header(&bench, "if-none-match")), (tag, None));
        assert_eq!(bench.sent().2, r#"{"data":{"a":5e-7}}"#);
    }
    // A 304 to a question without a condition is no answer to it.
    let bench = Bench::new(vec![answer(304, "")]);
    let read = bench.client.get_config(&bench.call(), &resource(), ConfigPath::Global, None).await;
    assert_eq!(read.unwrap_err().status(), Some(304));
    let bench = Bench::new(vec![Step::Answer(200, &[], String::new())]);
    let head = bench.client.head_config(&bench.call(), &resource(), ConfigPath::Global, None).await;
    assert_eq!(head, Ok(ConfigHead::Present(None)));
}
