//! Whose turn it is: so many executions at once, shared fairly among grants. Of those that wait, the next is of the grant
//! with the fewest under way, and of that grant's the one with the highest priority, then the oldest. So nobody's thousand
//! jobs keep another's one from beginning, and nobody's priority counts against another grant.

use super::request::Priority;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Turns(Arc<Shared>);

struct Shared {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    under_way: usize,
    /// Grants with executions under way or waiting.
    grants: HashMap<String, Grant>,
    /// Counts those that came to wait.
    came: u64,
}

#[derive(Default)]
struct Grant {
    under_way: usize,
    /// The first is the next. Those that no longer wait are noticed when their turn comes.
    waiting: BTreeMap<(Reverse<Priority>, u64), oneshot::Sender<Turn>>,
}

/// One execution's turn, until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    grant: String,
}

/// A place in the queue, given up when it is dropped.
struct Place<'a> {
    turns: &'a Turns,
    grant: &'a str,
    key: (Reverse<Priority>, u64),
}

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most, inner: Mutex::default() }))
    }

    /// Whether one more could begin at once.
    pub(super) fn is_free(&self) -> bool {
        self.lock().under_way < self.0.most
    }

    /// Waits for the turn of an execution of `grant`. Dropping the future gives the place in the queue up.
    pub(super) async fn take(&self, grant: &str, priority: Priority) -> Turn {
        loop {
            let (sender, receiver) = oneshot::channel();
            let place = {
                let mut inner = self.lock();
                if inner.under_way < self.0.most {
                    inner.begin(grant);
                    return Turn { turns: self.clone(), grant: grant.to_owned() };
                }
                inner.came += 1;
                let key = (Reverse(priority), inner.came);
                inner.grants.entry(grant.to_owned()).or_default().waiting.insert(key, sender);
                Place { turns: self, grant, key }
            };
            let given = receiver.await;
            drop(place);
            // The queue keeps the sender until it gives the turn, so there is no second round.
            if let Ok(turn) = given {
                return turn;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing between lock and unlock panics.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn begin(&mut self, grant: &str) {
        self.under_way += 1;
        match self.grants.get_mut(grant) {
            Some(known) => known.under_way += 1,
            None => drop(self.grants.insert(grant.to_owned(), Grant { under_way: 1, ..Grant::default() })),
        }
    }

    fn end(&mut self, grant: &str) {
        self.under_way -= 1;
        if let Some(known) = self.grants.get_mut(grant) {
            known.under_way -= 1;
            self.forget(grant);
        }
    }

    fn forget(&mut self, grant: &str) {
        if self.grants.get(grant).is_some_and(|known| known.under_way == 0 && known.waiting.is_empty()) {
            self.grants.remove(grant);
        }
    }

    /// Takes a free turn for whoever is next.
    fn next(&mut self, most: usize) -> Option<(String, oneshot::Sender<Turn>)> {
        if self.under_way >= most {
            return None;
        }
        let first = |grant: &Grant| grant.waiting.keys().map(|(_, came)| *came).next();
        let waiting = self.grants.iter().filter_map(|(name, grant)| Some((grant.under_way, first(grant)?, name)));
        let (_, _, grant) = waiting.min()?;
        let grant = grant.clone();
        let (_, sender) = self.grants.get_mut(&grant)?.waiting.pop_first()?;
        self.begin(&grant);
        Some((grant, sender))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.turns.lock();
        if let Some(grant) = inner.grants.get_mut(self.grant) {
            grant.waiting.remove(&self.key);
            inner.forget(self.grant);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().end(&self.grant);
        loop {
            let Some((grant, sender)) = self.turns.lock().next(self.turns.0.most) else { return };
            // Whoever has gone meanwhile drops it at once, and so passes it on.
            let _ = sender.send(Self { turns: self.turns.clone(), grant });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{JoinHandle, yield_now};

    /// Takes a turn, in a task of its own.
    fn ask(turns: &Turns, grant: &'static str, priority: Priority) -> JoinHandle<Turn> {
        let turns = turns.clone();
        tokio::spawn(async move { turns.take(grant, priority).await })
    }

    async fn settle() {
        for _ in 0..10 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_grant_with_the_fewest_is_next_and_of_it_the_most_urgent_then_the_oldest() {
        let turns = Turns::new(2);
        let held = [turns.take("many", Priority::Normal).await, turns.take("many", Priority::Normal).await];
        assert!(!turns.is_free());
        let asked = [
            ("many low", ask(&turns, "many", Priority::Low)),
            ("many high", ask(&turns, "many", Priority::High)),
            ("few", ask(&turns, "few", Priority::Low)),
            ("few later", ask(&turns, "few", Priority::Low)),
        ];
        settle().await;
        let mut order = Vec::new();
        let mut asked = Vec::from(asked);
        let [first, second] = held;
        let mut held = vec![second, first];
        while !asked.is_empty() {
            drop(held.pop());
            settle().await;
            let ready = asked.iter().position(|(_, asked)| asked.is_finished()).unwrap();
            let (name, turn) = asked.remove(ready);
            order.push(name);
            held.insert(0, turn.await.unwrap());
            assert!(asked.iter().all(|(_, asked)| !asked.is_finished()));
        }
        assert_eq!(order, ["few", "many high", "few later", "many low"]);
        drop(held);
        assert!(turns.is_free());
        assert!(turns.lock().grants.is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_takes_no_turn() {
        let turns = Turns::new(1);
        let held = turns.take("one", Priority::Normal).await;
        let leaving = ask(&turns, "one", Priority::Normal);
        let staying = ask(&turns, "two", Priority::Normal);
        settle().await;
        leaving.abort();
        settle().await;
        assert!(!turns.lock().grants.contains_key("one") || turns.lock().grants["one"].waiting.is_empty());
        drop(held);
        drop(staying.await.unwrap());
        assert!(turns.is_free());
    }
}
