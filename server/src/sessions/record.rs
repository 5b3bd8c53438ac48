//! What the store has of a session. Its state is in the file that is named here.

use super::Name;
use crate::executions::Id;
use crate::store;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) grant: String,
    pub(super) name: Name,
    /// Milliseconds since 1970, as `used`.
    pub(super) created: u64,
    pub(super) used: u64,
    /// Calls that it is the state after.
    pub(super) calls: u64,
    /// The execution that left this state: one that is run again would find its own work done.
    pub(super) by: Id,
    pub(super) file: Uuid,
    /// BLAKE3 of the file.
    pub(super) hash: String,
    pub(super) size: u64,
}

/// A session as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    session_id: String,
    created_at: String,
    used_at: String,
    expires_at: String,
    calls: u64,
    bytes: u64,
    last_execution_uuid: Id,
}

impl Record {
    /// Of the state in `file`, which follows `before`.
    pub(super) fn next(
        before: Option<&Self>,
        grant: &str,
        name: &Name,
        by: Id,
        (file, hash, size): (Uuid, String, u64),
    ) -> Self {
        let now = now();
        Self {
            grant: grant.to_owned(),
            name: name.clone(),
            created: before.map_or(now, |before| before.created),
            used: now,
            calls: before.map_or(0, |before| before.calls) + 1,
            by,
            file,
            hash,
            size,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, store::Error> {
        serde_json::from_slice(bytes).map_err(|_| store::Error::Record { key: "Sessions".into() })
    }

    pub(super) fn view(&self, idle: Duration) -> View {
        let time = |milliseconds| {
            let time: SystemTime = UNIX_EPOCH + Duration::from_millis(milliseconds);
            humantime::format_rfc3339_millis(time).to_string()
        };
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        // Far enough for any clock, and near enough to be written.
        let expires = self.used.saturating_add(idle).min(LAST);
        View {
            session_id: self.name.as_str().to_owned(),
            created_at: time(self.created),
            used_at: time(self.used),
            expires_at: time(expires),
            calls: self.calls,
            bytes: self.size,
            last_execution_uuid: self.by,
        }
    }
}

/// The last millisecond of the year 9999.
const LAST: u64 = 253_402_300_799_999;

/// Labels of grants have no zero bytes, and neither have names, so no session has two keys, and no key is of two grants.
pub(super) fn key(grant: &str, name: &Name) -> Vec<u8> {
    let mut key = prefix(grant);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

/// What the keys of a grant's sessions begin with.
pub(super) fn prefix(grant: &str) -> Vec<u8> {
    let mut prefix = grant.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

pub(super) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
