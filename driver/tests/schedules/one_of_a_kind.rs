//! One session per store and account, whoever opens and closes it when.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, Weak};

use loom::thread;

use crate::registry::{Ends, Registry};
use crate::sync::{AtomicBool, Ordering};

/// What a session is to the registry.
#[derive(Debug)]
struct Tie {
    closed: AtomicBool,
}

impl Ends for Tie {
    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }
}

impl Tie {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

#[derive(Debug, Default)]
struct Process {
    registry: Registry<&'static str, Tie>,
    started: Mutex<Vec<Weak<Tie>>>,
}

impl Process {
    fn open(&self) -> Arc<Tie> {
        let start = || {
            for tie in self.started.lock().unwrap().iter().filter_map(Weak::upgrade) {
                assert!(!tie.is_open(), "a second session beside an open one");
            }
            // Between its start and its return, a real one is spawned: others may run.
            thread::yield_now();
            Ok::<_, Infallible>(Tie { closed: AtomicBool::new(false) })
        };
        let Ok(tie) = self.registry.open("default", start);
        self.started.lock().unwrap().push(Arc::downgrade(&tie));
        tie
    }
}

#[test]
fn two_that_open_at_once_get_the_same() {
    loom::model(|| {
        let process = Arc::new(Process::default());
        let second = thread::spawn({
            let process = Arc::clone(&process);
            move || process.open()
        });
        let first = process.open();
        let second = second.join().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    });
}

#[test]
fn opened_closed_and_opened_again_there_is_one_open_session() {
    loom::model(|| {
        let process = Arc::new(Process::default());
        let second = thread::spawn({
            let process = Arc::clone(&process);
            move || {
                let tie = process.open();
                drop(tie);
                process.open()
            }
        });
        let closed = process.open();
        closed.close();
        let first = process.open();
        assert!(first.is_open() && !Arc::ptr_eq(&first, &closed));
        let second = second.join().unwrap();
        let one = Arc::ptr_eq(&first, &second);
        assert!(one || !second.is_open(), "two open sessions");
    });
}
