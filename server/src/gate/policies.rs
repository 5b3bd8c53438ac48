//! Which policy a grant has.

use super::watched::{Error, Watched};
use super::{Denied, Gate};
use crate::grants::{self, Grants, LOCAL};
use exuvia_policies::{Denial, DenialKind, Policy};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The policy of the grant `local` when the operator has given none: code runs, and reaches nothing.
static BUILT_IN: LazyLock<Option<Policy>> = LazyLock::new(|| Policy::parse(include_str!("built_in.json")).ok());

const HOW_TO_ALLOW: &str = "There is no policy file, and without one no tool of an MCP server may be called: start the server \
     with `exuvia serve --policy FILE`.";
const HOW_TO_REACH: &str = "There is no policy file, and without one no program may make HTTP requests: start the server with \
     `exuvia serve --policy FILE`, and list the host in that file under `x-sandbox.egress.allow`.";
const HOW_TO_USE: &str = "There is no policy file, and without one no program may use secrets: start the server with \
     `exuvia serve --policy FILE`, and name the secret in that file under `x-sandbox.secrets`.";
const HOW_TO_BIND: &str = "This grant has no policy that can be read, so it may do nothing: `exuvia grants rotate NAME --policy FILE` gives it one.";

/// The policies of all grants, as their files have them now.
pub(crate) struct Policies {
    /// None: the built-in one.
    local: Option<Arc<Watched>>,
    grants: Arc<Grants>,
    files: Mutex<HashMap<PathBuf, Arc<Watched>>>,
}

/// Between two looks at the files, so that few decisions come upon an edit that nobody has read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at the files for as long as the gate lives.
pub(super) async fn watch(gate: Weak<Gate>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(gate) = gate.upgrade() else { return };
        // Not on a thread that serves: a large policy takes some milliseconds.
        let _ = tokio::task::spawn_blocking(move || gate.policies.look()).await;
    }
}

impl Policies {
    /// `local` is the file of the grant `local`. It and the files of all grants must be right.
    pub(crate) fn open(local: Option<&Path>, grants: Arc<Grants>) -> Result<Self, Error> {
        let local = local.map(Watched::open).transpose()?.map(Arc::new);
        let mut files = HashMap::new();
        for grant in grants.list().unwrap_or_default() {
            if let Some(path) = grant.policy {
                files.insert(path.clone(), Arc::new(Watched::open(&path)?));
            }
        }
        Ok(Self { local, grants, files: Mutex::new(files) })
    }

    /// The policy of a grant. None: it may do nothing.
    pub(crate) fn of(&self, grant: &str) -> Option<Policy> {
        if grant == LOCAL {
            return match &self.local {
                Some(file) => file.policy(),
                None => BUILT_IN.clone(),
            };
        }
        let path = self.path(grant)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = Arc::clone(files.entry(path).or_insert_with_key(|path| Arc::new(Watched::at(path))));
        drop(files);
        file.policy()
    }

    /// Reads what has been edited.
    pub(super) fn look(&self) {
        let all: Vec<_> = {
            let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            self.local.iter().chain(files.values()).cloned().collect()
        };
        for file in all {
            file.policy();
        }
    }

    /// Why a grant has no secrets, where nobody has written a policy for it.
    pub(super) fn without_secrets(&self, grant: &str) -> Option<&'static str> {
        (grant == LOCAL && self.local.is_none()).then_some(HOW_TO_USE)
    }

    /// What the caller is told of a denial: where nobody has written a policy, how to give one.
    pub(super) fn explained(&self, grant: &str, denial: &Denial) -> Denied {
        let mut denied = Denied::from(denial);
        match denial.kind() {
            DenialKind::DefaultDeny if grant == LOCAL && self.local.is_none() => denied.reason = HOW_TO_ALLOW.into(),
            DenialKind::Egress if grant == LOCAL && self.local.is_none() => denied.reason = HOW_TO_REACH.into(),
            DenialKind::Secret => {
                if let Some(how) = self.without_secrets(grant) {
                    denied.reason = how.into();
                }
            }
            DenialKind::NoPolicy => denied.reason = HOW_TO_BIND.replace("NAME", grant),
            _ => {}
        }
        denied
    }

    fn path(&self, grant: &str) -> Option<PathBuf> {
        self.grants.policy(grant).unwrap_or_else(|error: grants::Error| {
            tracing::error!(%error, "could not read the grants");
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_policy_code_runs_and_reaches_nothing() {
        let policy = BUILT_IN.clone().unwrap();
        assert!(policy.is_callable("executeCode") && policy.is_callable("executeTool"));
        assert!(!policy.is_callable("mcp_Any_tool") && !policy.is_callable("addRemoteMcpServer"));
        assert!(exuvia_policies::lint(&policy).is_empty());
    }
}
