//! What a signal to end does: a refresh that is under way is finished and saved first, since
//! going away in the middle of it can cost the login.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrant::Session;
use tokio::select;

use crate::output::Output;

/// Whether a session is open that must be closed first.
static HAS_SESSION: AtomicBool = AtomicBool::new(false);

/// What a shell makes of an end by Ctrl-C: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// From now on, the first signal to end closes the session and then ends the process; a second one
/// ends it at once.
pub(crate) fn leave_in_order(session: Session, within: Duration, output: Output) {
    HAS_SESSION.store(true, Ordering::Relaxed);
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

/// Runs this where it may wait for somebody at the terminal. Ctrl-C ends the process only when
/// the terminal is again as it was.
pub(crate) async fn at_terminal<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    // Once it was listened for, the signal no longer ends the process by itself: so before anybody
    // is asked.
    let held = asked_to_end();
    let mut held = std::pin::pin!(held);
    let mut work = tokio::task::spawn_blocking(work);
    let done = select! {
        biased;
        code = &mut held => {
            // What was typed by then is not wanted any more.
            let _ = (&mut work).await;
            process::exit(code);
        }
        done = &mut work => done,
    };
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    if done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        process::exit(INTERRUPTED);
    }
    tokio::spawn(async {
        let code = asked_to_end().await;
        if !HAS_SESSION.load(Ordering::Relaxed) {
            process::exit(code);
        }
    });
    done
}

/// Waits for a signal; gives the exit code that shells know it by. It listens from this call on,
/// and not only from its first poll.
#[cfg(unix)]
fn asked_to_end() -> impl Future<Output = i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(signal);
    async {
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
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn asked_to_end() -> i32 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => INTERRUPTED,
        Err(_) => std::future::pending().await,
    }
}
