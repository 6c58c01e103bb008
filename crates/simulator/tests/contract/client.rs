//! Vercel's API (spec A): what the client writes and what the simulator answers, for every operation of the document.
//!
//! What is drawn is sent as drawn, but for what the simulator's rules tie to its state: ids of what is there, periods
//! around its clock. A refusal is an answer, too, and has to be a documented one; but every operation must be
//! carried out, and every member of its request sent, at least once.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tradepost_marketplace::client::{Call, Client, ClientError, ConfigPath, OPERATIONS, RetrySchedule};
use tradepost_marketplace::doors::{LeaseClock, LeaseTime, SystemClock, SystemEntropy, SystemSleeper};
use tradepost_marketplace::endpoint;
use tradepost_marketplace::ids::{
    ActionId, ClientId, DeploymentId, InstallationId, InvoiceId, PlanId, ProductId, ResourceId, UserId,
};
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::{
    BillingData, Discount, ImportResource, InvoiceRequest, LineItem, Period, Refund, RevokeCredential,
    RotateCredential, SsoExchange, SsoRefresh,
};

use crate::recorder::Recorder;
use crate::schema::Document;
use crate::stage::{CLIENT_ID, CLIENT_SECRET, Customer, Stage};
use crate::strategies::{self, client as draw};

/// How often each body is drawn.
const CASES: u32 = 24;

/// A simulator with a customer, and a client whose every call is held against the document.
struct Bench {
    runtime: Runtime,
    stage: Stage,
    customer: Customer,
    /// A resource whose customer opted in to syncing.
    synced: ResourceId,
    client: Client,
    recorder: Arc<Recorder>,
    number: std::cell::Cell<i64>,
}

impl Bench {
    fn open() -> Self {
        let recorder = Arc::new(Recorder::new(Document::open("marketplace.json")));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stage, customer, synced) = runtime.block_on(async {
            let stage = Stage::new().await;
            let customer = stage.customer("pro").await;
            let synced = stage.synced(&customer.id).await;
            (stage, customer, ResourceId::new(synced).unwrap())
        });
        let client = Client::new(
            Arc::clone(&recorder) as _,
            endpoint::checked(&stage.url).unwrap(),
            LeaseClock(Arc::new(SystemClock)),
            Arc::new(SystemSleeper),
            Arc::new(SystemEntropy),
        );
        let client = client.with_schedule(RetrySchedule::ONCE);
        Self { runtime, stage, customer, synced, client, recorder, number: <_>::default() }
    }

    /// A number that no other draw has.
    fn number(&self) -> i64 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    fn resource(&self) -> ResourceId {
        ResourceId::new(self.customer.resource.as_str()).unwrap()
    }

    /// Draws bodies and sends each.
    #[allow(clippy::needless_pass_by_value, reason = "callers write closures in place")]
    fn draws<T: Debug, R>(
        &self,
        draw: impl Strategy<Value = T>,
        send: impl AsyncFn(&Self, Call<'_>, T) -> Result<R, ClientError>,
    ) {
        let (token, installation) = self.owner();
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
        let run = TestRunner::new(config).run(&draw, |value| {
            let deadline = deadline();
            let call = Call { token: &token, installation: &installation, deadline };
            let shown = format!("{value:?}");
            let outcome = self.runtime.block_on(send(self, call, value));
            if let Err(error @ (ClientError::Unreadable | ClientError::Unwritable(_))) = outcome {
                return Err(TestCaseError::fail(format!("{error}: {shown}")));
            }
            prop_assert_eq!(self.recorder.faults(), Vec::<String>::new());
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{error}"));
    }

    fn owner(&self) -> (SecretString, InstallationId) {
        (self.customer.token.as_str().into(), InstallationId::new(self.customer.id.as_str()).unwrap())
    }

    /// A customer of their own, for what ends or changes an installation or a resource for good.
    async fn other(&self) -> (SecretString, InstallationId, ResourceId) {
        let other = self.stage.customer("pro").await;
        let (id, resource) = (InstallationId::new(other.id).unwrap(), ResourceId::new(other.resource).unwrap());
        (other.token.into(), id, resource)
    }
}

fn deadline() -> LeaseTime {
    LeaseClock(Arc::new(SystemClock)).now().after(SignedDuration::from_secs(20))
}

/// The simulator's first instant, and so many milliseconds later.
fn at(milliseconds: i64) -> Timestamp {
    let begin: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_millis(milliseconds)
}

fn month() -> Period {
    Period::new(at(0), "2027-02-01T00:00:00Z".parse().unwrap()).unwrap()
}

#[test]
fn every_operation_is_as_documented() {
    let bench = Bench::open();
    installation(&bench);
    credentials(&bench);
    resources(&bench);
    billing(&bench);
    invoices(&bench);
    sign_on(&bench);
    experimentation(&bench);
    deployments(&bench);
    goodbye(&bench);
    every_operation_was_carried_out(&bench);
}

/// The client's list is the document's, and each was carried out, with each member of its request.
fn every_operation_was_carried_out(bench: &Bench) {
    let document = &bench.recorder.document;
    let ours: BTreeSet<_> = OPERATIONS.iter().map(|it| (it.method.as_str(), it.path)).collect();
    let theirs: BTreeSet<_> = document.operations.iter().map(|it| (it.method.as_str(), it.path.as_str())).collect();
    assert_eq!(ours, theirs);
    let mut missing = Vec::new();
    for (number, operation) in document.operations.iter().enumerate() {
        let statuses = bench.recorder.seen(number, |seen| seen.statuses.clone()).unwrap_or_default();
        if !statuses.iter().any(|status| (200..300).contains(status)) {
            missing.push(format!("{} was never carried out: {statuses:?}", operation.name()));
        }
        let members = bench.recorder.seen(number, |seen| seen.members.clone()).unwrap_or_default();
        let unsent: Vec<_> = operation.members().difference(&members).cloned().collect();
        if !unsent.is_empty() {
            missing.push(format!("{} was never sent {unsent:?}", operation.name()));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn installation(bench: &Bench) {
    bench.draws(draw::installation_patch(), async |it, call, patch| it.client.update_installation(&call, &patch).await);
    bench.draws(Just(()), async |it, call, ()| it.client.account(&call).await);
    bench.draws(Just(()), async |it, call, ()| {
        let state = it.stage.state().await;
        let member = UserId::new(state["installations"][0]["userId"].as_str().unwrap()).unwrap();
        it.client.member(&call, &member).await
    });
    bench.draws(strategies::event(), async |it, call, event| it.client.create_event(&call, &event).await);
}

fn credentials(bench: &Bench) {
    let with_client = any::<bool>();
    bench.draws(with_client, async |it, _, with_client| {
        let (token, installation, _) = it.other().await;
        let call = Call { token: &token, installation: &installation, deadline: deadline() };
        let client_id = with_client.then(|| ClientId::new(CLIENT_ID).unwrap());
        let proof = RotateCredential { client_secret: CLIENT_SECRET.into(), client_id: client_id.clone() };
        let rotated = it.client.rotate_credential(&call, &proof).await?;
        let call = Call { token: &rotated.access_token, ..call };
        let revoke = RevokeCredential { token: token.clone(), client_secret: CLIENT_SECRET.into(), client_id };
        it.client.revoke_credential(&call, &revoke).await?;
        it.client.revoke_credential(&call, &revoke).await
    });
    bench.draws(draw::rotate_credential(), async |it, call, proof| it.client.rotate_credential(&call, &proof).await);
    bench.draws(draw::revoke_credential(), async |it, call, revoke| it.client.revoke_credential(&call, &revoke).await);
}

fn resources(bench: &Bench) {
    bench.draws(draw::import_resource(), async |it, call, import| {
        let resource = ResourceId::new(format!("imported_{}", it.number())).unwrap();
        let import = ImportResource { product_id: ProductId::new("product").unwrap(), ..import };
        it.client.import_resource(&call, &resource, &import).await?;
        it.client.get_resource(&call, &resource).await?;
        it.client.list_resources(&call).await?;
        it.client.delete_resource(&call, &resource).await
    });
    bench.draws(draw::resource_patch(), async |it, call, patch| {
        it.client.update_resource(&call, &it.resource(), &patch).await?;
        it.client.get_resource(&call, &it.resource()).await
    });
    bench.draws(draw::secrets_update(), async |it, call, update| {
        it.client.update_secrets(&call, &it.resource(), &update).await?;
        #[allow(deprecated, reason = "it is in Vercel's document")]
        it.client.update_secrets_by_product(&call, &ProductId::new("product").unwrap(), &it.resource(), &update).await
    });
}

/// Lines of the plan that the customer has.
fn lines(bench: &Bench, items: &[LineItem]) -> Vec<LineItem> {
    let of = |item: &LineItem| LineItem {
        billing_plan_id: PlanId::new("pro").unwrap(),
        resource_id: item.resource_id.as_ref().map(|_| bench.resource()),
        ..item.clone()
    };
    items.iter().map(of).collect()
}

fn discounts(bench: &Bench, discounts: &[Discount]) -> Vec<Discount> {
    let of = |less: &Discount| Discount {
        billing_plan_id: PlanId::new("pro").unwrap(),
        resource_id: less.resource_id.as_ref().map(|_| bench.resource()),
        ..less.clone()
    };
    discounts.iter().map(of).collect()
}

fn billing(bench: &Bench) {
    bench.draws(strategies::billing_data(), async |it, call, data| {
        let mut billing = data.billing().clone();
        billing.items = lines(it, &billing.items);
        billing.discounts = discounts(it, &billing.discounts);
        let usage = data.usage().iter().cloned().map(|mut usage| {
            usage.resource_id = usage.resource_id.map(|_| it.resource());
            usage
        });
        let data = BillingData::new(at(it.number()), at(86_399_999), month(), billing, usage.collect()).unwrap();
        it.client.submit_billing_data(&call, &data).await
    });
    bench.draws(strategies::balances(), async |it, call, mut balances| {
        balances.timestamp = at(it.number());
        for balance in &mut balances.balances {
            balance.resource_id = balance.resource_id.take().map(|_| it.resource());
        }
        it.client.submit_balances(&call, &balances).await
    });
}

fn invoices(bench: &Bench) {
    bench.draws(strategies::invoice_request(), async |it, call, drawn| {
        // Each period is billed once.
        let period = Period::new(at(it.number()), month().end).unwrap();
        let external_id = format!("invoice-{}", it.number()).parse().unwrap();
        let (items, less) = (lines(it, drawn.items()), discounts(it, drawn.discounts()));
        let request = InvoiceRequest::new(external_id, period, period.start, items, less).unwrap();
        let request = drawn.memo().into_iter().fold(request, InvoiceRequest::with_memo);
        let request = drawn.test().into_iter().fold(request, InvoiceRequest::as_test);
        let request = if drawn.is_final() { request.as_final() } else { request };
        let submitted = it.client.submit_invoice(&call, &request).await?;
        it.client.get_invoice(&call, &submitted.invoice_id).await?;
        let refund = Refund::new(Money::from_cents(1), "as drawn").unwrap();
        it.client.refund_invoice(&call, &submitted.invoice_id, &refund).await?;
        it.client.get_invoice(&call, &submitted.invoice_id).await
    });
    bench.draws(strategies::refund(), async |it, call, refund| {
        it.client.refund_invoice(&call, &InvoiceId::new("mi_unknown").unwrap(), &refund).await
    });
}

fn sign_on(bench: &Bench) {
    bench.draws((any::<bool>(), any::<bool>()), async |it, _, (with_state, with_redirect)| {
        let asked = json!({ "installationId": it.customer.id });
        let (_, answer) = it.stage.control("POST", "/_sim/sso", asked).await;
        let url = url::Url::parse(answer["url"].as_str().unwrap()).unwrap();
        let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let exchange = SsoExchange {
            code: parameter("code").into(),
            client_id: ClientId::new(CLIENT_ID).unwrap(),
            client_secret: CLIENT_SECRET.into(),
            state: with_state.then(|| parameter("state")),
            redirect_uri: with_redirect.then(|| "https://provider.example/callback".to_owned()),
        };
        let tokens = it.client.exchange_code(&exchange, deadline()).await?;
        let Some(refresh_token) = tokens.refresh_token else { return Ok(()) };
        let refresh = SsoRefresh {
            refresh_token: refresh_token.expose_secret().into(),
            client_id: exchange.client_id.clone(),
            client_secret: CLIENT_SECRET.into(),
        };
        it.client.refresh_tokens(&refresh, deadline()).await.map(drop)
    });
    bench.draws(draw::sso_exchange(), async |it, _, exchange| it.client.exchange_code(&exchange, deadline()).await);
    bench.draws(draw::sso_refresh(), async |it, _, refresh| it.client.refresh_tokens(&refresh, deadline()).await);
}

fn experimentation(bench: &Bench) {
    bench.draws(draw::item_batch(), async |it, call, batch| {
        it.client.create_items(&call, &it.resource(), &batch).await?;
        for item in batch.items() {
            it.client.delete_item(&call, &it.resource(), item.id()).await?;
        }
        Ok(())
    });
    bench.draws((draw::experiment_item(), draw::item_update()), async |it, call, (item, update)| {
        let id = item.id().clone();
        let batch = tradepost_marketplace::wire::ItemBatch::new(vec![item]).unwrap();
        it.client.create_items(&call, &it.resource(), &batch).await?;
        it.client.update_item(&call, &it.resource(), &id, &update).await?;
        it.client.delete_item(&call, &it.resource(), &id).await
    });
    let path = prop_oneof![Just(ConfigPath::Global), Just(ConfigPath::Edge)];
    bench.draws((path, draw::config_update(), of_tag()), async |it, call, (path, update, unknown)| {
        it.client.put_config(&call, &it.synced, path, &update, None).await?;
        let read = it.client.get_config(&call, &it.synced, path, None).await?;
        let tradepost_marketplace::client::ConfigRead::Config(config) = read else { panic!("it was just written") };
        it.client.get_config(&call, &it.synced, path, Some(&config.digest)).await?;
        it.client.head_config(&call, &it.synced, path, Some(&config.digest)).await?;
        it.client.head_config(&call, &it.synced, path, unknown.as_ref()).await?;
        it.client.put_config(&call, &it.synced, path, &update, Some(&config.digest)).await?;
        it.client.put_config(&call, &it.synced, path, &update, unknown.as_ref()).await
    });
}

fn of_tag() -> impl Strategy<Value = Option<tradepost_marketplace::wire::ConfigDigest>> {
    proptest::option::of(draw::config_digest())
}

fn deployments(bench: &Bench) {
    bench.draws(draw::action_update(), async |it, call, update| {
        let (deployment, action) = (DeploymentId::new("dpl_1").unwrap(), ActionId::new("branch").unwrap());
        it.client.update_deployment_action(&call, &deployment, &it.resource(), &action, &update).await
    });
    bench.draws(draw::project_connection(), async |it, call, connection| {
        it.client.connect_resource_to_project(&call, &it.resource(), &connection).await
    });
}

/// What ends an installation, and what every operation answers afterwards.
fn goodbye(bench: &Bench) {
    bench.draws(Just(()), async |it, _, ()| {
        let (token, installation, resource) = it.other().await;
        let call = Call { token: &token, installation: &installation, deadline: deadline() };
        let uninstall = format!("/_sim/installations/{installation}");
        it.stage.control("DELETE", &uninstall, Value::Null).await;
        it.client.finalize_installation(&call).await?;
        it.stage.advance("2h").await;
        // The refusals of the dead are documented, too.
        let gone = it.client.get_resource(&call, &resource).await;
        assert!(matches!(gone, Err(ClientError::Gone)), "{gone:?}");
        it.client.account(&call).await.map(drop).or(Ok(()))
    });
}
