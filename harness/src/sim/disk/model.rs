//! [`super::SimDisk`] against a naive model that keeps every byte twice and every state of the directory.

use std::collections::BTreeMap;

use broker::env::{Disk, File, Open};
use proptest::prelude::*;

use super::SimDisk;
use super::tests::{content, now};
use crate::seed::Seed;
use crate::sim::{DiskOp, Failing, Unsynced};

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Write(u8, u16, u16),
    Truncate(u8, u16),
    Sync(u8),
    FailSync(u8),
    SyncDir,
    Remove(u8),
    Rename(u8, u8),
}

/// A file of the model: its bytes now, its bytes at rest, and which bytes are dirty.
#[derive(Clone, Default)]
struct Body {
    now: Vec<u8>,
    rest: Vec<u8>,
    dirty: BTreeMap<usize, ()>,
    resized: bool,
}

#[derive(Default)]
struct Model {
    bodies: Vec<Body>,
    names: BTreeMap<u8, usize>,
    /// Every state of the names since the directory was synced, that one first: each may survive.
    states: Vec<BTreeMap<u8, usize>>,
}

impl Body {
    fn sync(&mut self, works: bool) {
        let dirty = std::mem::take(&mut self.dirty);
        self.resized = false;
        if works {
            self.rest.resize(self.now.len(), 0);
            for at in dirty.into_keys().filter(|at| *at < self.now.len()) {
                self.rest[at] = self.now[at];
            }
        }
    }

    fn kept(&self) -> Vec<u8> {
        let mut kept = self.clone();
        if !self.resized {
            kept.now.resize(self.rest.len(), 0);
            kept.dirty.retain(|at, ()| *at < self.now.len());
        }
        kept.sync(true);
        kept.rest
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        if end > self.now.len() {
            self.resize(end);
        }
        self.dirty.extend((at..end).map(|at| (at, ())));
        self.now[at..end].copy_from_slice(bytes);
    }

    fn resize(&mut self, size: usize) {
        let (low, high) = (self.now.len().min(size), self.now.len().max(size));
        self.dirty.extend((low..high).map(|at| (at, ())));
        self.resized |= low != high;
        self.now.resize(size, 0);
    }
}

fn path(name: u8) -> String {
    format!("f{name}")
}

fn apply(op: &Op, n: usize, disk: &SimDisk, model: &mut Model) {
    let open = |name: &u8, how| disk.open(&path(*name), how);
    let body = |model: &Model, name: &u8| model.names.get(name).copied();
    match op {
        Op::Create(name) => {
            open(name, Open::Create).expect("creates");
            if body(model, name).is_none() {
                model.bodies.push(Body::default());
                model.names.insert(*name, model.bodies.len() - 1);
                model.states.push(model.names.clone());
            }
        }
        Op::Write(name, at, len) => {
            let file = open(name, Open::Write);
            assert_eq!(file.is_ok(), body(model, name).is_some());
            let (Ok(file), Some(b)) = (file, body(model, name)) else { return };
            let bytes = vec![u8::try_from(n % 250 + 1).expect("small"); usize::from(*len)];
            file.write_at(&bytes, u64::from(*at)).expect("writes");
            model.bodies[b].write(usize::from(*at), &bytes);
        }
        Op::Truncate(name, size) => {
            let (Ok(file), Some(b)) = (open(name, Open::Write), body(model, name)) else { return };
            file.truncate(u64::from(*size)).expect("truncates");
            model.bodies[b].resize(usize::from(*size));
        }
        Op::Sync(name) | Op::FailSync(name) => {
            let (Ok(file), Some(b)) = (open(name, Open::Write), body(model, name)) else { return };
            let works = matches!(op, Op::Sync(_));
            let _ = (!works).then(|| disk.fail(DiskOp::Sync, Failing::Once));
            assert_eq!(now(file.sync()).is_ok(), works);
            model.bodies[b].sync(works);
        }
        Op::SyncDir => {
            now(disk.sync_dir("")).expect("syncs");
            model.states = vec![model.names.clone()];
        }
        Op::Remove(name) => {
            let gone = model.names.remove(name).is_some();
            assert_eq!(disk.remove(&path(*name)).is_ok(), gone);
            if gone {
                model.states.push(model.names.clone());
            }
        }
        Op::Rename(from, to) => {
            let there = body(model, from);
            assert_eq!(disk.rename(&path(*from), &path(*to)).is_ok(), there.is_some());
            if let (Some(b), true) = (there, from != to) {
                model.names.remove(from);
                model.names.insert(*to, b);
                model.states.push(model.names.clone());
            }
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = 0..3u8;
    let op = prop_oneof![
        2 => name.clone().prop_map(Op::Create),
        6 => (name.clone(), 0..2000u16, 0..1500u16).prop_map(|(n, a, l)| Op::Write(n, a, l)),
        1 => (name.clone(), 0..2500u16).prop_map(|(n, s)| Op::Truncate(n, s)),
        2 => name.clone().prop_map(Op::Sync),
        1 => name.clone().prop_map(Op::FailSync),
        1 => Just(Op::SyncDir),
        1 => name.clone().prop_map(Op::Remove),
        1 => (name.clone(), name).prop_map(|(a, b)| Op::Rename(a, b)),
    ];
    prop::collection::vec(op, 1..40)
}

/// Whether `left` is what a torn power loss may leave of `body`.
fn may_be_torn(left: &[u8], body: &Body) -> bool {
    let (rest, kept) = (&body.rest, body.kept());
    let (low, high) = (rest.len().min(kept.len()), rest.len().max(kept.len()));
    let at = |bytes: &[u8], n: usize| bytes.get(n).copied().unwrap_or(0);
    (low..=high).contains(&left.len())
        && (0..left.len()).step_by(512).all(|s| {
            let sector = s..(s + 512).min(left.len());
            let old = sector.clone().all(|n| left[n] == at(rest, n));
            // A sector that the new file has only the beginning of keeps the rest of the old one.
            let new = sector.clone().all(|n| left[n] == if n < kept.len() { kept[n] } else { at(rest, n) });
            old || new
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_disk_is_as_its_model_before_and_after_a_power_loss(ops in ops(), fate in 0..3u8, seed in any::<u64>()) {
        let disk = SimDisk::new(Seed::new(seed), std::rc::Rc::default(), 1_000_000);
        let mut model = Model { states: vec![BTreeMap::new()], ..Model::default() };
        for (n, op) in ops.iter().enumerate() {
            apply(op, n, &disk, &mut model);
            for (name, b) in &model.names {
                prop_assert_eq!(&content(&disk, &path(*name)).expect("reads"), &model.bodies[*b].now, "after {}", n);
            }
        }
        let fate = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn][usize::from(fate)];
        disk.lose_power(fate);
        let left = disk.list("").expect("lists");
        let may: Vec<_> = match fate {
            Unsynced::Lost => model.states[..1].to_vec(),
            Unsynced::Kept => vec![model.names.clone()],
            Unsynced::Torn => model.states.clone(),
        };
        // Two states may have the same names for other files: one of them must fit.
        let fits = may.iter().any(|names| {
            names.keys().map(|n| path(*n)).eq(left.iter().cloned()) && names.iter().all(|(name, b)| {
                let left = content(&disk, &path(*name)).expect("reads");
                let body = &model.bodies[*b];
                match fate {
                    Unsynced::Lost => left == body.rest,
                    Unsynced::Kept => left == body.kept(),
                    Unsynced::Torn => may_be_torn(&left, body),
                }
            })
        });
        prop_assert!(fits, "{:?} left {:?}", fate, left);
    }
}
