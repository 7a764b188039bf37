//! Fetch sessions between brokers (KIP-227): a follower says what it wants once, and then only what has changed of it; the
//! leader says only what is new. Both halves, without the network between them.

use std::collections::BTreeMap;

use crate::controller::record::TopicId;
use crate::ids::Offset;

/// A partition, by its topic's identity.
pub type Key = (TopicId, i32);

/// Partitions one session may hold. A follower that wants more fetches without one.
const MOST: usize = 100_000;

/// The epoch after `epoch`: 0 begins a session, so it is left out.
fn after(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// What a request says of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask<V> {
    /// The session; 0: a new one is wanted.
    pub id: i32,
    /// Counts its requests; 0: a new one is wanted.
    pub epoch: i32,
    /// What is asked for, as far as it is news.
    pub news: Vec<(Key, V)>,
    /// What is not asked for any more.
    pub forgotten: Vec<Key>,
}

/// The follower's half.
#[derive(Clone, Debug)]
pub struct Asking<V> {
    id: i32,
    epoch: i32,
    sent: BTreeMap<Key, V>,
}

impl<V> Default for Asking<V> {
    fn default() -> Self {
        Self { id: 0, epoch: 0, sent: BTreeMap::new() }
    }
}

impl<V: Clone + PartialEq> Asking<V> {
    /// How to ask for `wanted`.
    pub fn ask(&mut self, wanted: BTreeMap<Key, V>) -> Ask<V> {
        let is_news = |(key, value): &(&Key, &V)| self.epoch == 0 || self.sent.get(key) != Some(value);
        let news = wanted.iter().filter(is_news).map(|(key, value)| (*key, value.clone())).collect();
        let forgotten = match self.epoch {
            0 => Vec::new(),
            _ => self.sent.keys().filter(|key| !wanted.contains_key(key)).copied().collect(),
        };
        self.sent = wanted;
        Ask { id: self.id, epoch: self.epoch, news, forgotten }
    }

    /// The leader has answered, with this session's id; 0: it holds none.
    pub fn answered(&mut self, id: i32) {
        if id == 0 {
            *self = Self::default();
        } else {
            (self.id, self.epoch) = (id, after(self.epoch));
        }
    }

    /// The leader does not know the session, or may not have got the last request, or its answer was lost. True if
    /// there was a session to lose: what was wanted can be asked for at once without it.
    pub fn lost(&mut self) -> bool {
        let had = self.epoch != 0;
        *self = Self::default();
        had
    }
}

/// Why there is no such session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// FETCH_SESSION_ID_NOT_FOUND.
    Unknown,
    /// INVALID_FETCH_SESSION_EPOCH.
    Epoch,
}

struct Held<V> {
    asked: V,
    /// High watermark and log start as last told.
    told: Option<(Offset, Offset)>,
}

/// The leader's half, of one follower.
pub struct Answering<V> {
    id: i32,
    epoch: i32,
    held: BTreeMap<Key, Held<V>>,
    /// The last that was given records: the next answer begins behind it, so that none waits for ever behind others that
    /// fill every answer (KIP-227 orders its partitions so).
    served: Option<Key>,
}

impl<V: Clone> Answering<V> {
    /// Begins a session over what is asked for. `None`: that is too much.
    pub fn begin(id: i32, asked: Vec<(Key, V)>) -> Option<Self> {
        let mut session = Self { id, epoch: 1, held: BTreeMap::new(), served: None };
        session.note(asked, &[]).then_some(session)
    }

    /// Its id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Takes in a later request. All that is asked for with it is [`Answering::asked`] then.
    pub fn go_on(&mut self, ask: Ask<V>) -> Result<(), NoSession> {
        if ask.id != self.id {
            return Err(NoSession::Unknown);
        }
        if ask.epoch != self.epoch || !self.note(ask.news, &ask.forgotten) {
            return Err(NoSession::Epoch);
        }
        self.epoch = after(self.epoch);
        Ok(())
    }

    fn note(&mut self, news: Vec<(Key, V)>, forgotten: &[Key]) -> bool {
        for key in forgotten {
            self.held.remove(key);
        }
        for (key, asked) in news {
            let told = self.held.get(&key).and_then(|held| held.told);
            self.held.insert(key, Held { asked, told });
        }
        self.held.len() <= MOST
    }

    /// All that is asked for, whoever has waited longest first.
    pub fn asked(&self) -> impl Iterator<Item = (Key, &V)> {
        let turn = |key: &Key| self.served.is_some_and(|served| *key <= served);
        let (later, first) =
            (self.held.iter().filter(move |it| turn(it.0)), self.held.iter().filter(move |it| !turn(it.0)));
        first.chain(later).map(|(key, held)| (*key, &held.asked))
    }

    /// It is given records of that partition.
    pub fn serves(&mut self, key: Key) {
        self.served = Some(key);
    }

    /// Whether the follower has to be told: there is `more` than high watermark and log start, or those are others now.
    /// It counts as told. `marks`: `None` with an error, after which they are told again.
    pub fn tells(&mut self, key: Key, marks: Option<(Offset, Offset)>, more: bool) -> bool {
        let Some(held) = self.held.get_mut(&key) else { return true };
        let news = more || marks.is_none() || held.told != marks;
        held.told = marks;
        news
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(partition: i32) -> Key {
        (TopicId::draw(|| 7), partition)
    }

    #[test]
    fn only_news_is_told() {
        let mut session = Answering::begin(5, vec![(key(0), 'a')]).unwrap();
        assert!(session.tells(key(0), Some((3, 0)), false));
        assert!(!session.tells(key(0), Some((3, 0)), false));
        assert!(session.tells(key(0), Some((3, 0)), true));
        assert!(session.tells(key(0), Some((4, 0)), false));
        assert!(session.tells(key(0), None, false));
        assert!(session.tells(key(0), Some((4, 0)), false));
    }

    #[test]
    fn a_session_is_known_by_id_and_epoch() {
        let mut session: Answering<char> = Answering::begin(5, vec![]).unwrap();
        let ask = |id, epoch| Ask { id, epoch, news: vec![], forgotten: vec![] };
        assert_eq!(session.go_on(ask(6, 1)), Err(NoSession::Unknown));
        assert_eq!(session.go_on(ask(5, 2)), Err(NoSession::Epoch));
        assert_eq!(session.go_on(ask(5, 1)), Ok(()));
        assert_eq!(session.go_on(ask(5, 1)), Err(NoSession::Epoch));
        session.epoch = i32::MAX;
        assert_eq!(session.go_on(ask(5, i32::MAX)), Ok(()));
        assert_eq!(session.epoch, 1);
    }

    #[test]
    fn whoever_was_given_records_is_the_last_to_be_given_more() {
        let mut session = Answering::begin(5, (0..4).map(|number| (key(number), ())).collect()).unwrap();
        let order = |session: &Answering<()>| session.asked().map(|((_, number), ())| number).collect::<Vec<_>>();
        assert_eq!(order(&session), [0, 1, 2, 3]);
        session.serves(key(1));
        assert_eq!(order(&session), [2, 3, 0, 1]);
        session.serves(key(3));
        assert_eq!(order(&session), [0, 1, 2, 3]);
    }

    proptest! {
        /// Whatever changes and whatever is lost: what the leader reads for the follower is what that wants.
        #[test]
        fn the_leader_knows_what_is_wanted(
            rounds in prop::collection::vec((prop::collection::btree_map(0i32..6, 0u8..3, 0..6), 0u8..6), 1..40),
        ) {
            let mut asking = Asking::default();
            let mut answering: Option<Answering<u8>> = None;
            for (number, (wanted, fate)) in (1..).zip(rounds) {
                let wanted: BTreeMap<Key, u8> = wanted.into_iter().map(|(number, value)| (key(number), value)).collect();
                let ask = asking.ask(wanted.clone());
                if fate == 0 {
                    // The request is lost.
                    asking.lost();
                    continue;
                }
                if ask.epoch == 0 {
                    answering = Answering::begin(number, ask.news);
                } else if answering.as_mut().is_none_or(|session| session.go_on(ask).is_err()) {
                    prop_assert!(asking.lost());
                    continue;
                }
                let known: BTreeMap<Key, u8> = answering.as_ref().unwrap().asked().map(|(k, v)| (k, *v)).collect();
                prop_assert_eq!(&known, &wanted);
                match fate {
                    // The answer is lost; the leader is another process; all is well.
                    1 => drop(asking.lost()),
                    2 => {
                        asking.answered(answering.take().unwrap().id());
                    }
                    _ => asking.answered(answering.as_ref().unwrap().id()),
                }
            }
        }
    }
}
