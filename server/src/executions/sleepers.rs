//! Executions that only sleep: their instance and all else of them is gone from memory, and what is here is when each has to
//! be woken. The rest is in the store.
//!
//! Of those that are due, only so many of a grant are woken at a time that wait for their turn. Neither can one grant's
//! many keep another's one from waking, nor does memory fill when all are due at once.

use super::id::Id;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most woken executions of one grant that have not had their turn.
const AT_ONCE: usize = 256;

/// What the store keeps of a sleeping execution, beside its record. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bed {
    pub(super) grant: String,
    /// The build of Python that it began with.
    pub(super) image: Option<String>,
    /// When it fell asleep.
    pub(super) since: u64,
    /// When its sleep is over.
    pub(super) due: u64,
    /// When its time limit is reached, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<u64>,
    /// How long it had taken by `since`, and how much of that its time limit counts; in milliseconds.
    pub(super) took: u64,
    pub(super) counted: u64,
}

impl Bed {
    pub(super) fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }

    /// When something has to be done about it.
    pub(super) fn wakes(&self) -> u64 {
        self.deadline.map_or(self.due, |deadline| deadline.min(self.due))
    }
}

pub(super) struct Sleepers {
    most: usize,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    beds: HashMap<Id, (u64, u32)>,
    grants: Vec<Grant>,
    numbers: HashMap<String, u32>,
    is_closed: bool,
}

#[derive(Default)]
struct Grant {
    /// When each is to be woken.
    due: BTreeSet<(u64, Id)>,
    /// Woken, and not had their turn.
    woken: usize,
}

/// An execution that was woken and waits for its turn.
pub(super) struct Woken {
    sleepers: Arc<Sleepers>,
    grant: u32,
}

impl Sleepers {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, inner: Mutex::default(), changed: Notify::new() })
    }

    pub(super) fn has_room(&self) -> bool {
        self.inner().beds.len() < self.most
    }

    pub(super) fn count(&self) -> usize {
        self.inner().beds.len()
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.inner().beds.contains_key(&id)
    }

    pub(super) fn put(&self, id: Id, grant: &str, wakes: u64) {
        let mut inner = self.inner();
        let number = inner.number(grant);
        inner.beds.insert(id, (wakes, number));
        if let Some(grant) = inner.grant(number) {
            grant.due.insert((wakes, id));
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Has one woken at another time.
    pub(super) fn later(&self, id: Id, wakes: u64) {
        let mut inner = self.inner();
        let Some((before, number)) = inner.beds.get(&id).copied() else { return };
        inner.beds.insert(id, (wakes, number));
        if let Some(grant) = inner.grant(number) {
            grant.due.remove(&(before, id));
            grant.due.insert((wakes, id));
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Takes one out, whether it is due or not. Of several who try, one does.
    pub(super) fn take(self: &Arc<Self>, id: Id) -> Option<Woken> {
        let mut inner = self.inner();
        let (wakes, number) = inner.beds.remove(&id)?;
        let grant = inner.grant(number)?;
        grant.due.remove(&(wakes, id));
        grant.woken += 1;
        drop(inner);
        Some(Woken { sleepers: Arc::clone(self), grant: number })
    }

    /// Those that are to be woken at `now`; and when the next one is, as far as is known.
    pub(super) fn due(&self, now: u64) -> (Vec<Id>, Option<u64>) {
        let inner = self.inner();
        if inner.is_closed {
            return (Vec::new(), None);
        }
        let (mut due, mut next) = (Vec::new(), None);
        for grant in inner.grants.iter().filter(|grant| grant.woken < AT_ONCE) {
            let later = (now.saturating_add(1), Id::FIRST);
            due.extend(grant.due.range(..later).map(|(_, id)| *id).take(AT_ONCE - grant.woken));
            let first = grant.due.range(later..).next().map(|(at, _)| *at);
            next = [next, first].into_iter().flatten().min();
        }
        (due, next)
    }

    /// Wakes nobody any more.
    pub(super) fn close(&self) {
        self.inner().is_closed = true;
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn number(&mut self, grant: &str) -> u32 {
        if let Some(number) = self.numbers.get(grant) {
            return *number;
        }
        let number = u32::try_from(self.grants.len()).unwrap_or(u32::MAX);
        self.grants.push(Grant::default());
        self.numbers.insert(grant.to_owned(), number);
        number
    }

    fn grant(&mut self, number: u32) -> Option<&mut Grant> {
        self.grants.get_mut(usize::try_from(number).ok()?)
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        let mut inner = self.sleepers.inner();
        if let Some(grant) = inner.grant(self.grant) {
            grant.woken = grant.woken.saturating_sub(1);
        }
        drop(inner);
        self.sleepers.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<Id> {
        (0..count).map(|_| Id::new()).collect()
    }

    #[test]
    fn those_are_woken_that_are_due_the_first_first() {
        let sleepers = Sleepers::new(10);
        let all = ids(3);
        for (id, wakes) in all.iter().zip([30, 10, 20]) {
            sleepers.put(*id, "one", wakes);
        }
        assert_eq!(sleepers.due(9), (vec![], Some(10)));
        assert_eq!(sleepers.due(20), (vec![all[1], all[2]], Some(30)));
        let woken = sleepers.take(all[1]).unwrap();
        assert!(sleepers.take(all[1]).is_none());
        assert_eq!(sleepers.due(20), (vec![all[2]], Some(30)));
        drop(woken);
        sleepers.later(all[2], 40);
        sleepers.later(all[1], 40);
        assert_eq!(sleepers.due(20), (vec![], Some(30)));
        assert_eq!((sleepers.due(40), sleepers.count()), ((vec![all[0], all[2]], None), 2));
    }

    /// Seen to fail without `AT_ONCE`.
    #[test]
    fn one_grant_s_many_keep_no_other_s_one_asleep_and_are_not_woken_all_at_once() {
        let sleepers = Sleepers::new(usize::MAX);
        for id in ids(1000) {
            sleepers.put(id, "many", 1);
        }
        let few = ids(1);
        sleepers.put(few[0], "few", 2);
        let (due, _) = sleepers.due(5);
        assert_eq!(due.len(), AT_ONCE + 1);
        assert!(due.contains(&few[0]));
        let woken: Vec<_> = due.iter().map(|id| sleepers.take(*id).unwrap()).collect();
        assert_eq!(sleepers.due(5).0, []);
        drop(woken);
        assert_eq!(sleepers.due(5).0.len(), AT_ONCE);
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let sleepers = Sleepers::new(1);
        assert!(sleepers.has_room());
        sleepers.put(ids(1)[0], "one", 1);
        assert!(!sleepers.has_room());
    }
}
