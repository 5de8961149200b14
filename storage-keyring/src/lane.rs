//! One thread that asks the keychain, and callers who wait for it no longer than they must.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// A thread for calls that may never return.
///
/// It runs one call after another, so a prompt that nobody answers holds up one thread and no
/// more. Nobody joins it: a process ends whatever it waits for. It ends when the last clone of the
/// lane is dropped and the calls are done.
#[derive(Clone, Default)]
pub(crate) struct Lane {
    jobs: Arc<Mutex<Option<Sender<Job>>>>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Not in time. The call may still be under way.
    Late,
    /// It panicked.
    Panicked,
    /// The system has no thread for it.
    NoThread(io::Error),
}

impl Lane {
    /// What `call` answers, if it does within `deadline`, the wait for its turn included. Needs no
    /// runtime. A call whose turn comes too late is not made.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        deadline: Duration,
        call: impl FnOnce(&Caller) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = mpsc::channel();
        let caller = Caller::default();
        let job = {
            let caller = caller.clone();
            move || {
                if caller.is_gone() {
                    return;
                }
                // Whoever gave up meanwhile has been answered already.
                let _ = answer.send(call(&caller));
            }
        };
        self.submit(Box::new(job)).map_err(Unanswered::NoThread)?;
        let _leaving = Leaving(caller);
        let answered = blocking::unblock(move || answered.recv_timeout(deadline)).await;
        answered.map_err(|error| match error {
            RecvTimeoutError::Timeout => Unanswered::Late,
            RecvTimeoutError::Disconnected => Unanswered::Panicked,
        })
    }

    fn submit(&self, job: Job) -> io::Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &mut *jobs {
            Some(sender) => sender,
            none => none.insert(thread_of_calls()?),
        };
        // A thread that is gone drops the job, which tells its caller.
        let _ = sender.send(job);
        Ok(())
    }
}

fn thread_of_calls() -> io::Result<Sender<Job>> {
    let (sender, queue) = mpsc::channel::<Job>();
    thread::Builder::new().name("regrant-keychain".to_owned()).spawn(move || {
        for job in queue {
            // A call that panics has dropped its end of the answer, and owns all that it touched.
            let _ = panic::catch_unwind(AssertUnwindSafe(job));
        }
    })?;
    Ok(sender)
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lane")
    }
}

/// Who waits for a call, as the call sees it.
#[derive(Clone, Default)]
pub(crate) struct Caller(Arc<AtomicBool>);

impl Caller {
    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(crate) fn that_has_gone() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

/// Is dropped when the caller waits no longer: answered, at its deadline, or dropped itself.
struct Leaving(Caller);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;

    /// What no call in these tests waits for unless something is wrong.
    const LONG: Duration = Duration::from_secs(60);
    /// Enough for a call that never answers.
    const SHORT: Duration = Duration::from_millis(100);

    /// No runtime is needed.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = std::pin::pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn a_call_is_answered() {
        assert_eq!(block_on(Lane::default().ask(LONG, |_| 7)).unwrap(), 7);
    }

    #[test]
    fn a_call_that_never_returns_is_given_up_and_its_lane_serves_again_once_it_does() {
        let lane = Lane::default();
        let (release, held) = mpsc::channel::<()>();
        let stuck = block_on(lane.ask(SHORT, move |_| held.recv()));
        assert!(matches!(stuck, Err(Unanswered::Late)));
        let made = Arc::new(AtomicU32::new(0));
        let counted = |made: &Arc<AtomicU32>| {
            let made = Arc::clone(made);
            move |_: &Caller| made.fetch_add(1, Ordering::SeqCst)
        };
        let behind = block_on(lane.ask(SHORT, counted(&made)));
        assert!(matches!(behind, Err(Unanswered::Late)));
        release.send(()).unwrap();
        block_on(lane.ask(LONG, counted(&made))).unwrap();
        // The one in between came too late, and was not made.
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_call_learns_that_its_caller_waits_no_longer() {
        let lane = Lane::default();
        let (begin, begun) = mpsc::channel();
        let (release, held) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let mut asked = Box::pin(lane.ask(LONG, move |caller| {
            begin.send(caller.is_gone()).unwrap();
            held.recv_timeout(LONG).unwrap();
            tell.send(caller.is_gone()).unwrap();
        }));
        let mut context = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut context).is_pending());
        assert!(!begun.recv_timeout(LONG).unwrap());
        drop(asked);
        release.send(()).unwrap();
        assert!(told.recv_timeout(LONG).unwrap());
    }

    #[test]
    fn a_call_that_panics_is_the_last_of_none_but_itself() {
        let lane = Lane::default();
        let panicked = block_on(lane.ask(LONG, |_| panic!("as the test wants")));
        assert!(matches!(panicked, Err::<(), _>(Unanswered::Panicked)));
        assert_eq!(block_on(lane.ask(LONG, |_| 7)).unwrap(), 7);
    }
}
