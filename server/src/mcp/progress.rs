//! Tells a client that asked for it how its script gets on.

use crate::executions::{Live, Progress, State};
use rmcp::model::ProgressNotificationParam;
use rmcp::service::{RequestContext, RoleServer};
use std::time::Duration;

/// Between two reports.
const EVERY: Duration = Duration::from_secs(2);

/// Reports until the execution has ended; at once if the client gave no token.
pub(super) async fn report(live: &Live, context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return std::future::pending().await };
    // Some clients see the answer's head only when its first message comes.
    let mut message = Some(format!("execution {} has begun", live.id()));
    for step in 0_u32.. {
        let mut progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
        progress.message = message.take().or_else(|| Some(phase(live)));
        if context.peer.notify_progress(progress).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn phase(live: &Live) -> String {
    match live.state() {
        State::Queued => "waiting for its turn".into(),
        State::WaitingApproval => "waiting for a person to approve a call".into(),
        state => match live.progress() {
            Some(Progress { fraction, step }) => {
                format!("{:.0} % {}", fraction * 100.0, step.unwrap_or_default()).trim_end().to_owned()
            }
            None => live.last_line().unwrap_or_else(|| state.to_string()),
        },
    }
}
