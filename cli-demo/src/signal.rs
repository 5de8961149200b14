//! What a signal to end does: a refresh that is under way is finished and saved first, since
//! going away in the middle of it can cost the login.

use std::process;
use std::time::Duration;

use regrant::Session;
use tokio::select;

use crate::output::Output;

/// From now on, the first signal to end closes the session and then ends the process; a second one
/// ends it at once.
pub(crate) fn leave_in_order(session: Session, within: Duration, output: Output) {
    tokio::spawn(async move {
        let code = asked_to_end().await;
        output.note("ending; a refresh that is under way is finished first");
        select! {
            // What could not be saved is in the log; there is nobody to hear of it.
            _ = session.close(within) => {}
            _ = asked_to_end() => {}
        }
        process::exit(code);
    });
}

/// Waits for a signal; gives the exit code that shells know it by.
#[cfg(unix)]
async fn asked_to_end() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(signal);
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (interrupt, terminate, hangup)
    else {
        return std::future::pending().await;
    };
    select! {
        _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
        _ = hangup.recv() => 128 + SignalKind::hangup().as_raw_value(),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn asked_to_end() -> i32 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => 130,
        Err(_) => std::future::pending().await,
    }
}
