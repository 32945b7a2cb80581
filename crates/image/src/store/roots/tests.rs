//! The rules, walked exhaustively where they are small, and beside a model where they are not.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

const QUARANTINE_MS: u64 = 1000;
/// A lease's length; twice this and the grace pass at a `Tick`.
const LEASE_MS: u64 = 100;
const TICK_MS: u64 = 2 * LEASE_MS + GRACE_MS;

fn image(number: u8) -> ImageId {
    ImageId::from_bytes([number; 32])
}

fn salt(number: u8) -> SecretSalt {
    SecretSalt(Salt::from_bytes([number; 32]))
}

fn row(root: RootId) -> ImageRow {
    ImageRow {
        root,
        manifest: ManifestId::from_bytes([0; 32]),
        tenant: "t".to_owned(),
        digest: "sha256:0".to_owned(),
        image_bytes: 1,
        stored_bytes: 1,
        created_ms: 0,
    }
}

/// What a server may want, without times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wish {
    Write(u64),
    Read(u64, u32),
    Renew(u64),
    Release(u64),
    Commit(u64, u8),
    Move(u64, u8, u32),
    Remove(u8),
    Name(u8),
    Rotate(u32),
    RotateSalt(u32),
    Expire(u32),
    Touch(u32),
    Thaw(u32),
    Delete(u32),
    Deleted(u32),
}

impl Wish {
    fn event(self, now_ms: u64) -> Event {
        let expires_ms = now_ms + LEASE_MS;
        let lease = |number| LeaseId(number);
        match self {
            Wish::Write(id) => Event::Write { lease: lease(id), expires_ms, now_ms },
            Wish::Read(id, root) => Event::Read { lease: lease(id), root: RootId(root), expires_ms },
            Wish::Renew(id) => Event::Renew { lease: lease(id), expires_ms },
            Wish::Release(id) => Event::Release { lease: lease(id) },
            Wish::Commit(id, of) => Event::Commit {
                lease: lease(id),
                image: image(of),
                row: row(RootId(0)),
                name: Some("n".to_owned()),
            },
            Wish::Move(id, of, from) => {
                let manifest = row(RootId(from)).manifest;
                Event::Move { lease: lease(id), image: image(of), from: RootId(from), manifest }
            }
            Wish::Remove(of) => Event::Remove { image: image(of) },
            Wish::Name(of) => {
                Event::Name { tenant: "t".to_owned(), name: format!("n{of}"), image: Some(image(of)) }
            }
            Wish::Rotate(root) => Event::Rotate { active: RootId(root), salt: None },
            Wish::RotateSalt(root) => Event::Rotate { active: RootId(root), salt: Some(salt(9)) },
            Wish::Expire(root) => Event::Expire { root: RootId(root), now_ms },
            Wish::Touch(root) => Event::Touch { root: RootId(root), now_ms },
            Wish::Thaw(root) => Event::Thaw { root: RootId(root), now_ms },
            Wish::Delete(root) => Event::Delete { root: RootId(root), now_ms, quarantine_ms: QUARANTINE_MS },
            Wish::Deleted(root) => Event::Deleted { root: RootId(root) },
        }
    }
}

/// What must never happen between one state and the next, whatever was wished.
fn assert_kept(before: &State, wish: Wish, now_ms: u64, after: &State) {
    assert_eq!(after.check(), Ok(()), "{wish:?}");
    for id in before.images.keys().filter(|id| !after.images.contains_key(id)) {
        assert_eq!(wish, Wish::Remove(id.as_bytes()[0]), "an image goes only when it is removed");
    }
    for (root, found) in &before.roots {
        match (found.phase, after.roots.get(root).map(|root| root.phase)) {
            (_, None) => {
                assert_eq!(found.phase, Phase::Deleting { alarm_ms: None });
                assert_eq!(wish, Wish::Deleted(root.0));
            }
            (was, Some(Phase::Deleting { .. })) => match was {
                Phase::Expired { since_ms, alarm_ms: None } => assert!(since_ms + QUARANTINE_MS <= now_ms),
                Phase::Deleting { .. } => {}
                Phase::Active | Phase::Retired | Phase::Expired { .. } => panic!("{was:?} is being deleted"),
            },
            (Phase::Retired, Some(Phase::Expired { .. })) => {
                let used = |lease: &Lease| lease.root == *root && now_ms <= lease.expires_ms + GRACE_MS;
                assert!(!before.leases.values().any(used), "{wish:?} under a lease");
                assert!(!before.images.values().any(|row| row.root == *root), "{wish:?} under an image");
            }
            (Phase::Expired { .. } | Phase::Deleting { .. }, Some(now)) => assert!(!now.is_readable()),
            (Phase::Active | Phase::Retired, Some(_)) => {}
        }
    }
    if let Wish::Commit(lease, _) = wish {
        assert!(before.leases.contains_key(&LeaseId(lease)), "a commit without a lease");
    }
}

fn all_wishes() -> Vec<Wish> {
    let mut all = vec![];
    for lease in 1..=2 {
        all.extend([Wish::Write(lease), Wish::Renew(lease), Wish::Release(lease), Wish::Commit(lease, 1)]);
        for root in 1..=2 {
            all.extend([Wish::Read(lease, root), Wish::Move(lease, 1, root)]);
        }
    }
    for root in 1..=2 {
        all.extend([Wish::Rotate(root), Wish::Expire(root), Wish::Touch(root), Wish::Thaw(root)]);
        all.extend([Wish::Delete(root), Wish::Deleted(root)]);
    }
    all.extend([Wish::Remove(1), Wish::Name(1)]);
    all
}

/// Every state that two leases, one image and up to three roots can come to in eight steps.
#[test]
fn every_state_within_eight_steps_keeps_what_is_promised() {
    let wishes = all_wishes();
    let start = State::new(LeaseId(0), salt(1));
    let mut seen = HashSet::new();
    let mut ahead = vec![(start, 0_u64)];
    let mut phases = BTreeSet::new();
    for _ in 0..8 {
        let mut next = vec![];
        for (state, now_ms) in ahead {
            // Time passes between any two steps, or not.
            for passed_ms in [0, TICK_MS] {
                let now_ms = now_ms + passed_ms;
                for wish in &wishes {
                    let Ok(after) = state.step(wish.event(now_ms)) else { continue };
                    assert_kept(&state, *wish, now_ms, &after);
                    let again = after.step(wish.event(now_ms));
                    assert!(
                        again.is_err() || again.as_ref() == Ok(&after),
                        "{wish:?} does more when sent twice"
                    );
                    phases.extend(
                        after
                            .roots
                            .values()
                            .map(|root| format!("{:?}", root.phase).split(' ').next().unwrap().to_owned()),
                    );
                    if after.roots.len() <= 3 && seen.insert(fingerprint(&after, now_ms)) {
                        next.push((after, now_ms));
                    }
                }
            }
        }
        ahead = next;
    }
    assert_eq!(phases.len(), 4, "{phases:?}");
    assert!(seen.len() > 1000, "{}", seen.len());
}

/// States that differ only in when they are count once.
fn fingerprint(state: &State, now_ms: u64) -> String {
    let mut state = state.clone();
    for lease in state.leases.values_mut() {
        lease.expires_ms = u64::from(lease.expires_ms + GRACE_MS < now_ms);
    }
    for root in state.roots.values_mut() {
        match &mut root.phase {
            Phase::Expired { since_ms, alarm_ms } => {
                *since_ms = u64::from(*since_ms + QUARANTINE_MS <= now_ms);
                *alarm_ms = alarm_ms.map(|_| 0);
            }
            Phase::Deleting { alarm_ms } => *alarm_ms = alarm_ms.map(|_| 0),
            Phase::Active | Phase::Retired => {}
        }
    }
    serde_json::to_string(&state).unwrap()
}

fn wish() -> impl Strategy<Value = Wish> {
    let (lease, root, of) = (1..6_u64, 1..8_u32, 1..6_u8);
    prop_oneof![
        lease.clone().prop_map(Wish::Write),
        (lease.clone(), root.clone()).prop_map(|(lease, root)| Wish::Read(lease, root)),
        lease.clone().prop_map(Wish::Renew),
        lease.clone().prop_map(Wish::Release),
        (lease.clone(), of.clone()).prop_map(|(lease, of)| Wish::Commit(lease, of)),
        (lease, of.clone(), root.clone()).prop_map(|(lease, of, from)| Wish::Move(lease, of, from)),
        of.clone().prop_map(Wish::Remove),
        of.prop_map(Wish::Name),
        root.clone().prop_map(Wish::Rotate),
        root.clone().prop_map(Wish::RotateSalt),
        root.clone().prop_map(Wish::Expire),
        root.clone().prop_map(Wish::Touch),
        root.clone().prop_map(Wish::Thaw),
        root.clone().prop_map(Wish::Delete),
        root.prop_map(Wish::Deleted),
    ]
}

proptest! {
    #[test]
    fn any_sequence_keeps_what_is_promised(wishes in proptest::collection::vec((wish(), 0..3_u64), 0..200)) {
        let mut state = State::new(LeaseId(0), salt(1));
        let mut now_ms = 0;
        let mut alarmed = BTreeSet::new();
        for (wish, ticks) in wishes {
            now_ms += ticks * TICK_MS / 2;
            let Ok(after) = state.step(wish.event(now_ms)) else { continue };
            assert_kept(&state, wish, now_ms, &after);
            match wish {
                Wish::Touch(root) if !after.roots[&RootId(root)].phase.is_readable() => drop(alarmed.insert(root)),
                Wish::Thaw(root) => drop(alarmed.remove(&root)),
                Wish::Deleted(root) => prop_assert!(!alarmed.contains(&root)),
                _ => {}
            }
            state = after;
        }
        let json = serde_json::to_vec(&state).unwrap();
        prop_assert_eq!(serde_json::from_slice::<State>(&json).unwrap(), state);
    }
}

#[test]
fn a_writer_that_was_taken_for_dead_commits_nothing() {
    let state = State::new(LeaseId(0), salt(1));
    let state = state.step(Wish::Write(1).event(0)).unwrap();
    let state = state.step(Wish::Rotate(1).event(0)).unwrap();
    let refused = state.step(Wish::Expire(1).event(LEASE_MS)).unwrap_err();
    assert_eq!(refused, Refusal::InUse { root: RootId(1), images: 0, leases: 1 });
    let late = state.step(Wish::Commit(1, 1).event(TICK_MS)).unwrap();
    assert_eq!(late.images[&image(1)].root, RootId(1), "as long as nobody has taken it for dead");
    let expired = state.step(Wish::Expire(1).event(TICK_MS)).unwrap();
    assert_eq!(expired.step(Wish::Commit(1, 1).event(TICK_MS)).unwrap_err(), Refusal::NoLease);
}

#[test]
fn the_same_image_stored_twice_is_in_the_later_root() {
    let mut state = State::new(LeaseId(0), salt(1));
    for wish in [Wish::Write(1), Wish::Rotate(1), Wish::Write(2), Wish::Commit(2, 1), Wish::Commit(1, 1)] {
        state = state.step(wish.event(0)).unwrap();
    }
    assert_eq!(state.images[&image(1)].root, RootId(2));
}

/// Else its row would be of a root in which its manifest is not.
#[test]
fn an_image_that_was_stored_again_is_not_moved_with_the_manifest_it_had() {
    let mut state = State::new(LeaseId(0), salt(1));
    for wish in [Wish::Write(1), Wish::Write(2), Wish::Commit(1, 1), Wish::Rotate(1), Wish::Write(3)] {
        state = state.step(wish.event(0)).unwrap();
    }
    state = state.step(Wish::Remove(1).event(0)).unwrap();
    let again = ImageRow { manifest: ManifestId::from_bytes([9; 32]), ..row(RootId(0)) };
    let event = Event::Commit { lease: LeaseId(2), image: image(1), row: again, name: None };
    state = state.step(event).unwrap();
    let refused = state.step(Wish::Move(3, 1, 1).event(0)).unwrap_err();
    assert_eq!(refused, Refusal::Moved { image: image(1), root: RootId(1) });
}

#[test]
fn salts_go_with_the_last_of_their_roots() {
    let mut state = State::new(LeaseId(0), salt(1));
    for wish in [Wish::Rotate(1), Wish::RotateSalt(2), Wish::Expire(1), Wish::Expire(2)] {
        state = state.step(wish.event(0)).unwrap();
    }
    assert_eq!(state.salts.len(), 2);
    for wish in [Wish::Delete(1), Wish::Deleted(1)] {
        state = state.step(wish.event(QUARANTINE_MS)).unwrap();
    }
    assert_eq!(state.salts.len(), 2, "the second root has the salt of the first");
    for wish in [Wish::Delete(2), Wish::Deleted(2)] {
        state = state.step(wish.event(QUARANTINE_MS)).unwrap();
    }
    assert_eq!(state.salts.keys().copied().collect::<Vec<_>>(), [SaltId(2)]);
}

#[test]
fn an_image_is_named_by_its_own_tenant_only() {
    let mut state = State::new(LeaseId(0), salt(1));
    for wish in [Wish::Write(1), Wish::Commit(1, 1)] {
        state = state.step(wish.event(0)).unwrap();
    }
    let event = Event::Name { tenant: "other".to_owned(), name: "n".to_owned(), image: Some(image(1)) };
    assert_eq!(state.step(event).unwrap_err(), Refusal::NoImage { image: image(1) });
    let gone = state.step(Wish::Remove(1).event(0)).unwrap();
    assert!(gone.names.is_empty() && gone.images.is_empty());
}
