//! Everything that serves requests, put together once.

use crate::calls::Calls;
use crate::executions::Executor;
use crate::gate::Gate;
use crate::grants::Grants;
use crate::secrets::Secrets;
use crate::sessions::Sessions;
use crate::shelf::Shelf;
use crate::upstream::{Remotes, Upstreams};
use std::sync::Arc;

/// What every way in has in hand. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) executor: Executor,
    pub(crate) sessions: Sessions,
    /// Files that programs left and clients gave.
    pub(crate) shelf: Shelf,
    pub(crate) upstreams: Upstreams,
    /// What changes the upstream servers while this one runs.
    pub(crate) remotes: Arc<Remotes>,
    pub(crate) calls: Calls,
    pub(crate) grants: Arc<Grants>,
    /// What decides every call.
    pub(crate) gate: Arc<Gate>,
    pub(crate) secrets: Arc<Secrets>,
    /// The URL by which clients and browsers reach this server.
    pub(crate) base_url: Arc<str>,
}
