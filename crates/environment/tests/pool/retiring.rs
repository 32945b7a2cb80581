//! A function's version that was replaced has no more environments, and leaves nothing.

use std::sync::{Arc, Weak};

use firesteel_environment::{InvokeError, Spec};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, event, eventually, function};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("idle_environments_end_at_once_and_busy_ones_after_their_invocations", idle_and_busy),
        test("who_waits_for_an_environment_of_a_retired_spec_is_told", who_waits_is_told),
        test("what_is_kept_ahead_ends_as_well", kept_ahead),
        test("what_a_spec_keeps_alive_goes_with_its_last_environment", kept_alive),
        test("a_permit_goes_when_its_invocation_is_over", permits),
        test("a_thousand_specs_leave_nothing", a_thousand),
    ]
}

/// The invocation that was refused is given back.
async fn refused(fixture: &Fixture, spec: &Arc<Spec>) {
    let invocation = event(0);
    let id = invocation.request_id;
    match fixture.pool.invoke(spec, invocation).await {
        Err(InvokeError::Retired { spec: retired, invocation }) => {
            assert!(Arc::ptr_eq(&retired, spec));
            assert_eq!(invocation.request_id, id);
        }
        other => panic!("{other:?}"),
    }
}

async fn idle_and_busy() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let (first, second) = (fixture.begin(&spec).await, fixture.begin(&spec).await);
    first.end().await;
    assert_eq!(fixture.pool.count(), 2);
    fixture.pool.retire(&spec);
    assert_eq!(fixture.pool.count(), 1, "the one that is idle is given up");
    refused(&fixture, &spec).await;
    let other = Arc::new(function("f"));
    fixture.invoke(&other).await;
    second.end().await;
    fixture.eventually(1).await;
    refused(&fixture, &spec).await;
    fixture.invoke(&other).await;
    assert_eq!(fixture.pool.count(), 1, "that of the other");
    fixture.close().await;
}

async fn who_waits_is_told() {
    let fixture = Fixture::patient(1);
    let spec = Arc::new(function("f"));
    let busy = fixture.begin(&spec).await;
    // In this order: it waits when the spec is retired.
    let (asked, ()) =
        tokio::join!(biased; fixture.pool.invoke(&spec, event(0)), async { fixture.pool.retire(&spec) });
    assert!(matches!(asked, Err(InvokeError::Retired { .. })), "{asked:?}");
    refused(&fixture, &spec).await;
    busy.end().await;
    fixture.eventually(0).await;
    fixture.close().await;
}

async fn kept_ahead() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let provisioned = fixture.pool.provision(&spec, 2);
    provisioned.wait_for(|progress| progress.available == 2).await;
    let busy = fixture.begin(&spec).await;
    fixture.pool.retire(&spec);
    assert_eq!(fixture.pool.count(), 1);
    busy.end().await;
    fixture.eventually(0).await;
    provisioned.request(3);
    assert_eq!(provisioned.progress().requested, 0, "there are to be none");
    let weak = Arc::downgrade(&spec);
    drop((provisioned, spec));
    eventually("nobody has the spec", || weak.strong_count() == 0).await;
    fixture.close().await;
}

async fn kept_alive() {
    let fixture = Fixture::new(10);
    let code = Arc::new("unpacked");
    let kept = Arc::downgrade(&code);
    let spec = Arc::new(Spec { keeps_alive: Some(code), ..function("f") });
    let busy = fixture.begin(&spec).await;
    fixture.pool.retire(&spec);
    drop(spec);
    assert_eq!(kept.strong_count(), 1, "as long as it runs");
    busy.end().await;
    eventually("the code goes", || kept.strong_count() == 0).await;
    fixture.close().await;
}

async fn permits() {
    let fixture = Fixture::new(10);
    let spec = Arc::new(function("f"));
    let permit: Arc<dyn std::any::Any + Send + Sync> = Arc::new("one at a time");
    let held = Arc::downgrade(&permit);
    let busy = fixture.begin(&spec).await;
    let mut invocation = event(0);
    invocation.permit = Some(permit);
    let invoked = fixture.pool.invoke(&spec, invocation).await.unwrap();
    // Also if nobody wants to know how it went.
    drop(invoked);
    eventually("the permit comes back", || held.strong_count() == 0).await;
    busy.end().await;
    fixture.close().await;
}

async fn a_thousand() {
    let fixture = Fixture::new(10);
    let mut all: Vec<Weak<Spec>> = Vec::new();
    for number in 0..1000 {
        let spec = Arc::new(function("f"));
        all.push(Arc::downgrade(&spec));
        // To start a process takes longer than all of the others together.
        if number % 25 == 0 {
            fixture.invoke(&spec).await;
        }
        let provisioned = fixture.pool.provision(&spec, usize::from(number % 100 == 0));
        fixture.pool.retire(&spec);
        refused(&fixture, &spec).await;
        drop(provisioned);
    }
    eventually("nobody has any of the specs", || all.iter().all(|spec| spec.strong_count() == 0)).await;
    fixture.eventually(0).await;
    fixture.close().await;
}
