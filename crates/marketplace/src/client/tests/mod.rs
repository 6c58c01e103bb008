//! The client against a scripted network: what is sent, what is repeated, and what a failure claims.

mod answers;
mod lost;
mod repeats;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use secrecy::SecretString;

use super::*;
use crate::doors::{Entropy, Sleeper};
use crate::endpoint::checked;
use crate::http_door::Http;
use crate::ids::{ClientId, InvoiceId, ResourceId};
use crate::money::Money;
use crate::scripted::{Step, World, answer, no_answer, not_sent};
use crate::wire::{InvoiceRequest, MarketplaceEvent, Refund, Secret, SecretsUpdate, SsoExchange, SsoTokens};

const DEADLINE: Duration = Duration::from_mins(1);

/// The name of an error's variant.
fn name_of(error: &ClientError) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphabetic).collect()
}

struct Bench {
    world: Arc<World>,
    client: Client,
    token: SecretString,
    installation: InstallationId,
    deadline: LeaseTime,
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
        let deadline = world.lease().now().after(jiff::SignedDuration::try_from(DEADLINE).unwrap());
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
        let refund = Refund::new(Money::from_cents(250), "late").unwrap();
        self.client.refund_invoice(&self.call(), &InvoiceId::new("mi_1").unwrap(), &refund).await
    }

    async fn exchange(&self) -> Result<SsoTokens, ClientError> {
        let exchange = SsoExchange {
            code: "c0de".into(),
            client_id: ClientId::new("oac_1").unwrap(),
            client_secret: "cl1ent".into(),
            state: Some("s".to_owned()),
            redirect_uri: None,
        };
        self.client.exchange_code(&exchange, self.deadline).await
    }
}

fn resource() -> ResourceId {
    ResourceId::new("r\\1").unwrap()
}

fn secrets() -> Vec<Secret> {
    vec![Secret::new("KEY", "v4lue").unwrap()]
}

fn invoice() -> InvoiceRequest {
    serde_json::from_str(INVOICE).unwrap()
}

const INVOICE: &str = r#"{"externalId":"inv-1","invoiceDate":"2027-01-31T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"items":[{"billingPlanId":"m","name":"Queries","price":"0.000025","quantity":123600.5,"units":"queries","total":"3.09"}]}"#;

const SUBMITTED: &str = r#"{"invoiceId":"mi_1","new":1}"#;

fn refused(status: u16) -> Step {
    answer(status, r#"{"error":{"code":"some_code","message":"some words"}}"#)
}
