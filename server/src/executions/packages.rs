//! The packages of an execution: chosen before it begins, as it may take seconds to fetch them, and the very same ones when it is gone
//! on with.

use super::Inner;
use super::live::Live;
use super::record::Failure;
use crate::gate::Asker;
use crate::packages::{self, Judge};
use exuvia_runtime::{Layer, Limit};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a run is given of packages, and how long that took.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) layer: Option<Layer>,
    pub(super) took: Duration,
}

/// Why it does not begin.
pub(super) enum NotReady {
    Failed(Failure),
    Late,
    Cancelled,
}

impl NotReady {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Late => {
                let why = "the time was over before the packages were there; what was begun of them goes on, so that the next call finds more";
                Failure::new("TimeLimit", why)
            }
            Self::Cancelled => (&Limit::Cancelled).into(),
        }
    }
}

impl From<packages::Error> for NotReady {
    fn from(error: packages::Error) -> Self {
        let message = match error {
            packages::Error::Gone { .. } => format!("interrupted: packages changed. {error}"),
            _ => error.to_string(),
        };
        Self::Failed(Failure::new(error.kind(), message))
    }
}

/// The layer for `wanted`, or the one named `begun` that it had begun with, within `most`. When the time is over the preparation goes
/// on, for whoever asks next.
pub(super) async fn ready(
    inner: &Arc<Inner>,
    live: &Arc<Live>,
    wanted: &[String],
    begun: Option<&str>,
    most: Duration,
) -> Result<Ready, NotReady> {
    if wanted.is_empty() && begun.is_none() {
        return Ok(Ready::default());
    }
    let start = Instant::now();
    let (packages, gate, asker) = (inner.packages.clone(), Arc::clone(&inner.gate), Arc::clone(live));
    let (wanted, begun) = (wanted.to_vec(), begun.map(str::to_owned));
    // On the server's threads: it waits for the network and for other processes.
    let preparing = inner.server.spawn(async move {
        let judge = Judge::Gate(&gate, Asker::program(&asker));
        match begun {
            Some(name) => packages.again(judge, &name).await,
            None => packages.choose(judge, &wanted).await,
        }
    });
    tokio::select! {
        biased;
        () = live.leave.cancelled() => Err(NotReady::Cancelled),
        () = tokio::time::sleep(most) => Err(NotReady::Late),
        prepared = preparing => {
            let layer = prepared.unwrap_or(Err(packages::Error::Lost))?;
            Ok(Ready { layer: Some(layer), took: start.elapsed() })
        }
    }
}
