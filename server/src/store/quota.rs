//! How much of the disk something takes, all of it and each grant's: one grant cannot take what others need.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Quota {
    most: u64,
    most_of_one: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_grant: HashMap<String, u64>,
}

/// Whose share is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMuch {
    OfGrant,
    OfAll,
}

impl Quota {
    pub(crate) fn new(most: u64, most_of_one: u64) -> Self {
        Self { most, most_of_one, taken: Mutex::default() }
    }

    /// Counts what is there already.
    pub(crate) fn add(&self, grant: &str, size: u64) {
        self.taken().change(grant, 0, size);
    }

    /// Takes `after` bytes in the place of `before`, unless that is too much. What becomes smaller never is.
    pub(crate) fn replace(&self, grant: &str, before: u64, after: u64) -> Result<(), TooMuch> {
        let mut taken = self.taken();
        let own = taken.by_grant.get(grant).copied().unwrap_or_default();
        let more = after.saturating_sub(before);
        if more > 0 && own.saturating_add(more) > self.most_of_one {
            return Err(TooMuch::OfGrant);
        }
        if more > 0 && taken.all.saturating_add(more) > self.most {
            return Err(TooMuch::OfAll);
        }
        taken.change(grant, before, after);
        Ok(())
    }

    /// Undoes what [`Self::replace`] did.
    pub(crate) fn take_back(&self, grant: &str, before: u64, after: u64) {
        self.taken().change(grant, after, before);
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn change(&mut self, grant: &str, before: u64, after: u64) {
        let own = self.by_grant.entry(grant.to_owned()).or_default();
        *own = own.saturating_sub(before).saturating_add(after);
        self.all = self.all.saturating_sub(before).saturating_add(after);
        if *own == 0 {
            self.by_grant.remove(grant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_grant_leaves_room_for_others_and_all_have_a_bound() {
        let quota = Quota::new(100, 60);
        quota.add("a", 50);
        assert_eq!(quota.replace("a", 0, 20), Err(TooMuch::OfGrant));
        quota.replace("a", 50, 60).unwrap();
        assert_eq!(quota.replace("b", 0, 50), Err(TooMuch::OfAll));
        quota.replace("b", 0, 40).unwrap();
        quota.replace("a", 60, 10).unwrap();
        quota.take_back("b", 0, 40);
        quota.replace("b", 0, 60).unwrap();
        assert_eq!(quota.taken().all, 70);
    }
}
