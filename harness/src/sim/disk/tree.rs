//! Directories, and the journal of what happened to their entries. An entry's change is durable once its directory was
//! synced; at power loss the changes that were not are undone, each directory keeping a beginning of its own history, and
//! a rename between two directories happening in both or in neither, as a journalling file system leaves it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::inode::Inode;
use crate::seed::Draw;
use crate::sim::Unsynced;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Node {
    File(Rc<Inode>),
    Dir(Rc<Dir>),
}

#[derive(Default)]
pub(crate) struct Dir {
    entries: RefCell<BTreeMap<String, Node>>,
}

/// One change of one entry, with what was there before.
struct Change {
    dir: Rc<Dir>,
    name: String,
    before: Option<Node>,
}

/// The changes of one operation: they happen together.
type Op = Vec<Change>;

/// A file system's names.
#[derive(Default)]
pub(crate) struct Tree {
    root: Rc<Dir>,
    journal: RefCell<Vec<(u64, Op)>>,
    next: Cell<u64>,
}

fn error(kind: io::ErrorKind, path: &str) -> io::Error {
    io::Error::new(kind, path.to_string())
}

impl Tree {
    pub(crate) fn dir(&self, path: &str) -> io::Result<Rc<Dir>> {
        let mut dir = self.root.clone();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            let next = match dir.entries.borrow().get(part) {
                Some(Node::Dir(d)) => d.clone(),
                Some(Node::File(_)) => return Err(error(io::ErrorKind::NotADirectory, path)),
                None => return Err(error(io::ErrorKind::NotFound, path)),
            };
            dir = next;
        }
        Ok(dir)
    }

    fn parent<'a>(&self, path: &'a str) -> io::Result<(Rc<Dir>, &'a str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.dir(parent)?, name))
    }

    pub(crate) fn find(&self, path: &str) -> io::Result<Node> {
        if path.split('/').all(str::is_empty) {
            return Ok(Node::Dir(self.root.clone()));
        }
        let (dir, name) = self.parent(path)?;
        let found = dir.entries.borrow().get(name).cloned();
        found.ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }

    fn set(&self, op: &mut Op, dir: &Rc<Dir>, name: &str, node: Option<Node>) {
        let mut entries = dir.entries.borrow_mut();
        let before = match node {
            Some(node) => entries.insert(name.into(), node),
            None => entries.remove(name),
        };
        op.push(Change { dir: dir.clone(), name: name.into(), before });
    }

    pub(crate) fn create(&self, path: &str) -> io::Result<Rc<Inode>> {
        let (dir, name) = self.parent(path)?;
        let inode = Rc::new(Inode::new());
        let mut op = Op::new();
        self.set(&mut op, &dir, name, Some(Node::File(inode.clone())));
        self.note(op);
        Ok(inode)
    }

    pub(crate) fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut dir = self.root.clone();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            let there = dir.entries.borrow().get(part).cloned();
            dir = match there {
                Some(Node::Dir(d)) => d,
                Some(Node::File(_)) => return Err(error(io::ErrorKind::AlreadyExists, path)),
                None => {
                    let new = Rc::new(Dir::default());
                    let mut op = Op::new();
                    self.set(&mut op, &dir, part, Some(Node::Dir(new.clone())));
                    self.note(op);
                    new
                }
            };
        }
        Ok(())
    }

    pub(crate) fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let there = dir.entries.borrow().get(name).cloned();
        match there {
            None => return Err(error(io::ErrorKind::NotFound, path)),
            Some(Node::File(_)) => return Err(error(io::ErrorKind::NotADirectory, path)),
            Some(Node::Dir(d)) if !d.entries.borrow().is_empty() => {
                return Err(error(io::ErrorKind::DirectoryNotEmpty, path));
            }
            Some(Node::Dir(_)) => {}
        }
        let mut op = Op::new();
        self.set(&mut op, &dir, name, None);
        self.note(op);
        Ok(())
    }

    /// Removes a file's entry and hands back the file.
    pub(crate) fn remove(&self, path: &str) -> io::Result<Rc<Inode>> {
        let (dir, name) = self.parent(path)?;
        let there = dir.entries.borrow().get(name).cloned();
        let inode = match there {
            None => return Err(error(io::ErrorKind::NotFound, path)),
            Some(Node::Dir(_)) => return Err(error(io::ErrorKind::IsADirectory, path)),
            Some(Node::File(inode)) => inode,
        };
        let mut op = Op::new();
        self.set(&mut op, &dir, name, None);
        self.note(op);
        Ok(inode)
    }

    /// Gives a file or directory another name. Hands back the file whose name it took.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<Option<Rc<Inode>>> {
        let (from_dir, from_name) = self.parent(from)?;
        let node = from_dir.entries.borrow().get(from_name).cloned();
        let node = node.ok_or_else(|| error(io::ErrorKind::NotFound, from))?;
        let (to_dir, to_name) = self.parent(to)?;
        let over = to_dir.entries.borrow().get(to_name).cloned();
        if let (Node::Dir(_), true) = (&node, to.starts_with(&format!("{from}/"))) {
            return Err(error(io::ErrorKind::InvalidInput, to));
        }
        match (&node, &over) {
            (Node::File(a), Some(Node::File(b))) if Rc::ptr_eq(a, b) => return Ok(None),
            (Node::Dir(a), Some(Node::Dir(b))) if Rc::ptr_eq(a, b) => return Ok(None),
            (Node::File(_), Some(Node::Dir(_))) => return Err(error(io::ErrorKind::IsADirectory, to)),
            (Node::Dir(_), Some(Node::File(_))) => return Err(error(io::ErrorKind::NotADirectory, to)),
            (Node::Dir(_), Some(Node::Dir(d))) if !d.entries.borrow().is_empty() => {
                return Err(error(io::ErrorKind::DirectoryNotEmpty, to));
            }
            _ => {}
        }
        let mut op = Op::new();
        self.set(&mut op, &from_dir, from_name, None);
        self.set(&mut op, &to_dir, to_name, Some(node));
        self.note(op);
        Ok(match over {
            Some(Node::File(over)) => Some(over),
            _ => None,
        })
    }

    pub(crate) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.dir(path)?.entries.borrow().keys().cloned().collect())
    }

    fn note(&self, op: Op) {
        self.journal.borrow_mut().push((self.mark(), op));
        self.next.set(self.mark() + 1);
    }

    /// The number of the next operation: a sync called now covers those below it.
    pub(crate) fn mark(&self) -> u64 {
        self.next.get()
    }

    /// Makes pending operations below `mark` durable as far as `dir` needs them: its own, and what those that touch two
    /// directories need of the other.
    pub(crate) fn commit(&self, dir: &Rc<Dir>, mark: u64) {
        let mut journal = self.journal.borrow_mut();
        let mut needed: Vec<Rc<Dir>> = vec![dir.clone()];
        let has = |needed: &[Rc<Dir>], c: &Change| needed.iter().any(|d| Rc::ptr_eq(d, &c.dir));
        let mut left = Vec::new();
        for (number, op) in std::mem::take(&mut *journal).into_iter().rev() {
            if number >= mark || !op.iter().any(|c| has(&needed, c)) {
                left.push((number, op));
                continue;
            }
            for c in op {
                if !has(&needed, &c) {
                    needed.push(c.dir);
                }
            }
        }
        left.reverse();
        *journal = left;
    }

    /// What stands in the root under names that `keep` does not want is gone, and cannot come back.
    pub(crate) fn wipe(&self, keep: impl Fn(&str) -> bool) {
        self.journal.borrow_mut().clear();
        self.root.entries.borrow_mut().retain(|name, _| keep(name));
    }

    /// The power goes: pending operations meet their fate.
    pub(crate) fn lose_power(&self, how: Unsynced, draw: &mut Draw) {
        let journal = std::mem::take(&mut *self.journal.borrow_mut());
        let mut lost: Vec<Op> = Vec::new();
        let mut stopped: Vec<Rc<Dir>> = Vec::new();
        for (_, op) in journal {
            let follows_a_lost_one = op.iter().any(|c| stopped.iter().any(|d| Rc::ptr_eq(d, &c.dir)));
            let keep = match how {
                Unsynced::Lost => false,
                Unsynced::Kept => true,
                Unsynced::Torn => !follows_a_lost_one && draw.chance(500),
            };
            if !keep {
                stopped.extend(op.iter().map(|c| c.dir.clone()));
                lost.push(op);
            }
        }
        for change in lost.into_iter().rev().flat_map(|op| op.into_iter().rev()) {
            let mut entries = change.dir.entries.borrow_mut();
            match change.before {
                Some(node) => entries.insert(change.name, node),
                None => entries.remove(&change.name),
            };
        }
    }

    /// Holds what `other` holds, and nothing else; all of it durable.
    pub(crate) fn copy_from(&self, other: &Tree) -> io::Result<()> {
        self.wipe(|_| false);
        for (path, inode) in other.files() {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
            self.create_dir(dir)?;
            let copy = Node::File(Rc::new(inode.copy()));
            self.dir(dir)?.entries.borrow_mut().insert(name.into(), copy);
        }
        self.journal.borrow_mut().clear();
        Ok(())
    }

    /// Every file that has a name, with its path, in order of path.
    pub(crate) fn files(&self) -> Vec<(String, Rc<Inode>)> {
        let mut found = Vec::new();
        walk(&self.root, "", &mut found);
        found
    }
}

fn walk(dir: &Dir, prefix: &str, found: &mut Vec<(String, Rc<Inode>)>) {
    for (name, node) in dir.entries.borrow().iter() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match node {
            Node::File(inode) => found.push((path, inode.clone())),
            Node::Dir(d) => walk(d, &path, found),
        }
    }
}
