//! Every event that has a payload of its own survives being written and read again, to the byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod strategies;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::TestRunner;
use strategies::{decimal, external_invoice_id, invoice_id, number, period, resource_id, text, timestamp};
use tradepost_marketplace::ids::{
    AccountId, CheckId, CheckRunId, DeploymentId, InstallationId, ProjectId, TeamId, UserId, VercelUserId, WebhookId,
};
use tradepost_marketplace::webhook::{
    CheckRerequested, CheckRun, CheckRunEvent, CheckSource, Deployment, DeploymentAction, DeploymentEvent,
    DeploymentIntegration, DeploymentLinks, DeploymentResource, DeploymentTarget, EVENT_TYPES, Event, EventPayload,
    InstallationRemoved, InstallationTransferred, InvoiceEvent, MemberChanged, MemberRole, PermissionUpgraded,
    ProjectConnection, ProjectSelection, RefundEvent, ScopeChangeConfirmed, UntypedEvent,
};
use tradepost_marketplace::wire::Raw;

/// How many events are drawn: each kind some hundred times.
const CASES: u32 = 2_600;

macro_rules! ids {
    ($($name:ident: $type:ident,)+) => {$(
        fn $name() -> impl Strategy<Value = $type> {
            "[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,23}".prop_map(|id| $type::new(id).unwrap())
        }
    )+};
}

ids! {
    installation: InstallationId,
    account: AccountId,
    check: CheckId,
    check_run: CheckRunId,
    deployment_id: DeploymentId,
    project: ProjectId,
    team: TeamId,
    member: UserId,
    person: VercelUserId,
    delivery: WebhookId,
}

/// A value of an open enumeration: `From` reads what it knows and keeps the rest.
fn open<T: for<'a> From<&'a str> + std::fmt::Debug>(known: &'static [&'static str]) -> impl Strategy<Value = T> {
    let known = proptest::sample::select(known).prop_map(|text| T::from(text));
    prop_oneof![3 => known, 1 => text().prop_map(|text| T::from(&text))]
}

fn raw() -> impl Strategy<Value = Raw> {
    let number = number().prop_map(|number| format!(r#"{{"b":{number}, "a":[ ],"b":1e400}}"#));
    prop_oneof![number, Just("[null]".to_owned()), Just("\"\\u00e9\"".to_owned())]
        .prop_map(|json| Raw::new(json).unwrap())
}

prop_compose! {
    fn invoice()(
        installation_id in installation(), invoice_id in invoice_id(), external_invoice_id in of(external_invoice_id()),
        period in period(), invoice_date in timestamp(), invoice_total in decimal(),
    ) -> InvoiceEvent {
        InvoiceEvent { installation_id, invoice_id, external_invoice_id, period, invoice_date, invoice_total }
    }
}

prop_compose! {
    fn refund()(
        installation_id in installation(), invoice_id in invoice_id(), external_invoice_id in of(external_invoice_id()),
        period in period(), amount in decimal(), reason in text(),
    ) -> RefundEvent {
        RefundEvent { installation_id, invoice_id, external_invoice_id, period, amount, reason }
    }
}

prop_compose! {
    fn member_changed()(
        installation_id in installation(), member_id in member(),
        role in open::<MemberRole>(&["ADMIN", "USER", "NONE"]),
        global_user_id in of(person()), user_email in of(text()),
    ) -> MemberChanged {
        MemberChanged { installation_id, member_id, role, global_user_id, user_email }
    }
}

prop_compose! {
    fn removed()(
        installation_id in installation(), team_id in of(team()), user_id in of(person()),
        project_selection in of(open::<ProjectSelection>(&["all", "selected"])), projects in vec(project(), 0..3),
    ) -> InstallationRemoved {
        InstallationRemoved { installation_id, team_id, user_id, project_selection, projects }
    }
}

prop_compose! {
    fn upgraded()(
        of_what in removed(), projects_added in vec(project(), 0..3), projects_removed in vec(project(), 0..3),
    ) -> PermissionUpgraded {
        let InstallationRemoved { installation_id, team_id, user_id, project_selection, projects } = of_what;
        PermissionUpgraded {
            installation_id, team_id, user_id, project_selection, projects, projects_added, projects_removed,
        }
    }
}

prop_compose! {
    fn scopes()(
        installation_id in installation(), team_id in of(team()), user_id in of(person()), scopes in vec(text(), 0..3),
    ) -> ScopeChangeConfirmed {
        ScopeChangeConfirmed { installation_id, team_id, user_id, scopes }
    }
}

prop_compose! {
    fn transferred()(
        installation_id in installation(), previous_team_id in of(team()), previous_account_id in of(account()),
        new_team_id in of(team()), new_account_id in of(account()),
    ) -> InstallationTransferred {
        InstallationTransferred {
            installation_id, previous_team_id, previous_account_id, new_team_id, new_account_id,
        }
    }
}

prop_compose! {
    fn connection()(
        installation_id in installation(), resource_id in resource_id(), project_id in project(),
        project_name in of(text()), targets in vec(text(), 0..3),
    ) -> ProjectConnection {
        ProjectConnection { installation_id, resource_id, project_id, project_name, targets }
    }
}

prop_compose! {
    fn action()(
        installation_id in installation(), resource_id in resource_id(), action in text(),
        deployment_id in deployment_id(),
    ) -> DeploymentAction {
        DeploymentAction { installation_id, resource_id, action, deployment_id }
    }
}

prop_compose! {
    fn integration()(installation_id in installation(), ids in vec(resource_id(), 0..3)) -> DeploymentIntegration {
        let resources = ids.into_iter().map(|id| DeploymentResource { id }).collect();
        DeploymentIntegration { installation_id, resources }
    }
}

prop_compose! {
    fn deployment()(
        (id, meta, url, name) in (deployment_id(), of(raw()), of(text()), of(text())),
        links in of((of(text()), of(text()))),
        (team_id, user_id, project_id, plan) in (of(team()), of(person()), of(project()), of(text())),
        target in of(open::<DeploymentTarget>(&["production", "staging"])),
        (regions, installation_ids) in (vec(text(), 0..3), vec(installation(), 0..3)),
        integrations in vec(integration(), 0..3),
    ) -> DeploymentEvent {
        let links = links.map(|(deployment, project)| DeploymentLinks { deployment, project });
        let deployment = Deployment { id, meta, url, name };
        DeploymentEvent {
            team_id, user_id, deployment, links, target, project_id, plan, regions, installation_ids, integrations,
        }
    }
}

prop_compose! {
    fn rerequested()(
        team_id in of(team()), user_id in of(person()), deployment_id in deployment_id(), check_id in check(),
    ) -> CheckRerequested {
        CheckRerequested { team_id, user_id, deployment_id, check_id }
    }
}

prop_compose! {
    fn run()(
        (id, check_id, deployment_id, of_deployment) in (check_run(), check(), deployment_id(), deployment_id()),
        timeout in of(number()), kind in text(), installation_id in of(installation()),
        resource_id in of(resource_id()),
    ) -> CheckRunEvent {
        let source = CheckSource { kind, installation_id, resource_id };
        let check_run = CheckRun { id, check_id, deployment_id, timeout, source };
        CheckRunEvent { check_run, deployment_id: of_deployment }
    }
}

fn payloads() -> Vec<BoxedStrategy<EventPayload>> {
    vec![
        invoice().prop_map(EventPayload::InvoiceCreated).boxed(),
        invoice().prop_map(EventPayload::InvoicePaid).boxed(),
        invoice().prop_map(EventPayload::InvoiceNotPaid).boxed(),
        invoice().prop_map(EventPayload::InvoiceOverdue).boxed(),
        refund().prop_map(EventPayload::InvoiceRefunded).boxed(),
        member_changed().prop_map(EventPayload::MemberChanged).boxed(),
        removed().prop_map(EventPayload::InstallationRemoved).boxed(),
        upgraded().prop_map(EventPayload::PermissionUpgraded).boxed(),
        scopes().prop_map(EventPayload::ScopeChangeConfirmed).boxed(),
        transferred().prop_map(EventPayload::InstallationTransferred).boxed(),
        connection().prop_map(EventPayload::ProjectConnected).boxed(),
        connection().prop_map(EventPayload::ProjectDisconnected).boxed(),
        action().prop_map(EventPayload::ActionStarted).boxed(),
        action().prop_map(EventPayload::ActionCanceled).boxed(),
        action().prop_map(EventPayload::ActionCleanup).boxed(),
        deployment().prop_map(EventPayload::DeploymentCreated).boxed(),
        deployment().prop_map(EventPayload::DeploymentReady).boxed(),
        deployment().prop_map(EventPayload::DeploymentSucceeded).boxed(),
        deployment().prop_map(EventPayload::DeploymentFailed).boxed(),
        deployment().prop_map(EventPayload::DeploymentCanceled).boxed(),
        deployment().prop_map(EventPayload::DeploymentPromoted).boxed(),
        rerequested().prop_map(EventPayload::CheckRerequested).boxed(),
        run().prop_map(EventPayload::CheckRunStarted).boxed(),
        run().prop_map(EventPayload::CheckRunCanceled).boxed(),
        raw()
            .prop_map(|payload| EventPayload::Other(UntypedEvent { kind: "budget.reached".to_owned(), payload }))
            .boxed(),
        raw()
            .prop_map(|payload| EventPayload::Legacy(UntypedEvent { kind: "project-removed".to_owned(), payload }))
            .boxed(),
    ]
}

prop_compose! {
    fn event()(
        id in delivery(), created_at in timestamp(), region in of(text()), payload in Union::new(payloads()),
    ) -> Event {
        Event { id, created_at, region, payload }
    }
}

#[test]
fn every_event_survives() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let mut drawn = BTreeSet::new();
    let run = TestRunner::new(config).run(&event(), |event| {
        let body = event.compose().unwrap();
        let read = Event::parse(&body).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(&read, &event);
        prop_assert_eq!(read.compose().unwrap(), body);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    // Each type has a strategy: the list above and the crate's own are the same.
    let mut runner = TestRunner::default();
    for payload in payloads() {
        drawn.insert(payload.new_tree(&mut runner).unwrap().current().kind().to_owned());
    }
    let known: BTreeSet<String> =
        EVENT_TYPES.iter().copied().chain(["budget.reached", "project-removed"]).map(str::to_owned).collect();
    assert_eq!(drawn, known);
}
