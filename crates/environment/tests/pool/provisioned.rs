//! Environments are kept initialised as long as their handle is held, and it tells how that goes.

use std::sync::Arc;

use firesteel_environment::{InitializationType, Progress, ProvisionFailure, ProvisionStatus};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, eventually, function};
use crate::test;

const PROVISIONED: InitializationType = InitializationType::ProvisionedConcurrency;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("they_are_ready_when_all_are_initialised_and_invocations_overflow", ready_and_overflow),
        test("an_init_that_fails_is_told", failing_init),
        test("no_invocation_is_sent_to_one_whose_init_fails", on_demand_instead),
        test("who_comes_meanwhile_waits_for_the_init", waiting_for_init),
        test("want_of_room_is_told_and_made_up_for", want_of_room),
        test("a_handle_that_is_dropped_ends_them_and_busy_ones_after_their_invocations", dropped),
        test("there_may_be_more_and_fewer", more_and_fewer),
        test("several_handles_for_a_spec_are_apart", several_handles),
    ]
}

fn is_ready(progress: &Progress) -> bool {
    progress.status == ProvisionStatus::Ready
}

async fn ready_and_overflow() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let provisioned = fixture.pool.provision(&spec, 2);
    let ready = provisioned.wait_for(is_ready).await;
    let status = ProvisionStatus::Ready;
    assert_eq!(ready, Progress { requested: 2, allocated: 2, available: 2, status });
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(fixture.begin(&spec).await);
    }
    let mut ran_on = Vec::new();
    for busy in busy {
        ran_on.push(busy.end().await.initialization);
    }
    assert_eq!(ran_on, [PROVISIONED, PROVISIONED, InitializationType::OnDemand]);
    drop(provisioned);
    fixture.eventually(1).await;
    assert_eq!(fixture.invoke(&spec).await.initialization, InitializationType::OnDemand);
    fixture.close().await;
}

async fn failing_init() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("broken"));
    let provisioned = fixture.pool.provision(&spec, 1);
    let failed = provisioned.wait_for(|progress| progress.status != ProvisionStatus::InProgress).await;
    let error_type = "Function.Broken".into();
    assert_eq!(failed.status, ProvisionStatus::Failed(ProvisionFailure::Init { error_type }));
    assert_eq!(failed.available, 0);
    let weak = Arc::downgrade(&spec);
    drop((provisioned, spec));
    eventually("its keeper ends, whatever it waits for", || weak.strong_count() == 0).await;
    fixture.eventually(0).await;
    fixture.close().await;
}

async fn on_demand_instead() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("unprovisionable"));
    let provisioned = fixture.pool.provision(&spec, 1);
    // While it is being initialised, and after.
    assert_eq!(fixture.invoke(&spec).await.initialization, InitializationType::OnDemand);
    provisioned.wait_for(|progress| progress.status != ProvisionStatus::InProgress).await;
    assert_eq!(fixture.invoke(&spec).await.initialization, InitializationType::OnDemand);
    drop(provisioned);
    fixture.eventually(1).await;
    fixture.close().await;
}

async fn waiting_for_init() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let provisioned = fixture.pool.provision(&spec, 1);
    provisioned.wait_for(|progress| progress.allocated == 1).await;
    assert_eq!(fixture.invoke(&spec).await.initialization, PROVISIONED);
    assert_eq!(fixture.pool.count(), 1);
    fixture.close().await;
}

async fn want_of_room() {
    let fixture = Fixture::new(1);
    let (spec, other) = (Arc::new(function("f")), Arc::new(function("f")));
    let busy = fixture.begin(&other).await;
    let provisioned = fixture.pool.provision(&spec, 1);
    let failed = provisioned.wait_for(|progress| progress.status != ProvisionStatus::InProgress).await;
    assert!(matches!(failed.status, ProvisionStatus::Failed(ProvisionFailure::NoRoom(_))), "{failed:?}");
    busy.end().await;
    provisioned.wait_for(is_ready).await;
    assert_eq!(fixture.invoke(&spec).await.initialization, PROVISIONED);
    fixture.close().await;
}

async fn dropped() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let provisioned = fixture.pool.provision(&spec, 2);
    provisioned.wait_for(is_ready).await;
    let busy = fixture.begin(&spec).await;
    drop(provisioned);
    assert_eq!(fixture.pool.count(), 1, "the one that is not in use is given up");
    assert_eq!(busy.end().await.initialization, PROVISIONED);
    fixture.eventually(0).await;
    fixture.close().await;
}

async fn more_and_fewer() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let provisioned = fixture.pool.provision(&spec, 1);
    provisioned.wait_for(is_ready).await;
    provisioned.request(3);
    assert_eq!(provisioned.progress().status, ProvisionStatus::InProgress);
    provisioned.wait_for(|progress| is_ready(progress) && progress.available == 3).await;
    let (first, second) = (fixture.begin(&spec).await, fixture.begin(&spec).await);
    provisioned.request(1);
    assert_eq!(fixture.pool.count(), 2);
    first.end().await;
    fixture.eventually(1).await;
    second.end().await;
    let one = provisioned.wait_for(|progress| progress.allocated == 1).await;
    assert_eq!((one.requested, one.available), (1, 1));
    assert_eq!(fixture.invoke(&spec).await.initialization, PROVISIONED);
    assert_eq!(fixture.pool.count(), 1);
    fixture.close().await;
}

async fn several_handles() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let (version, alias) = (fixture.pool.provision(&spec, 1), fixture.pool.provision(&spec, 2));
    version.wait_for(is_ready).await;
    alias.wait_for(is_ready).await;
    drop(alias);
    fixture.eventually(1).await;
    assert!(is_ready(&version.progress()) && version.progress().available == 1);
    assert_eq!(fixture.invoke(&spec).await.initialization, PROVISIONED);
    fixture.close().await;
}
