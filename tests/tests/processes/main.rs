//! Real processes on one real store: killed at each step of a refresh, fifty at a time, and on a
//! disk that is full. Each test runs on every backend.
//!
//! A process of these tests is this program again, with [`child`] as the one test it runs.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]
#![expect(clippy::print_stderr, reason = "what was left out or measured is said there")]

mod backend;
mod child;
mod fleet;
mod full_disk;
mod killed;
mod siblings;

use backend::Backend;

/// The tests of one backend, each under the name of what it shows.
macro_rules! on_every_backend {
    ($($backend:ident => $kind:expr),+ $(,)?) => {
        $(mod $backend {
            use super::{Backend, fleet, full_disk, killed, siblings};

            #[test]
            fn killed_before_the_intent_nothing_has_happened() {
                killed::before_the_intent($kind);
            }

            #[test]
            fn killed_after_the_intent_the_next_one_refreshes() {
                killed::after_the_intent($kind);
            }

            #[test]
            fn killed_after_the_token_request_the_next_one_replays_it() {
                killed::after_the_token_request($kind);
            }

            #[test]
            fn killed_after_the_token_request_without_grace_the_reason_is_told() {
                killed::after_the_token_request_without_grace($kind);
            }

            #[test]
            fn killed_while_the_grant_is_saved_nothing_is_lost() {
                killed::in_mid_save($kind);
            }

            #[test]
            fn killed_after_the_save_nothing_is_refreshed_again() {
                killed::after_the_save($kind);
            }

            /// Several programs share one credential whose refresh token is good once.
            #[test]
            fn cx_01_cross_process_race() {
                fleet::at_once($kind, 8);
            }

            #[test]
            fn fifty_processes_make_one_token_request() {
                fleet::at_once($kind, 50);
            }

            #[test]
            fn cx_07_sibling_entry_lost_update() {
                siblings::two_save_side_by_side($kind);
            }

            #[test]
            fn cx_08_c_a_refresh_of_one_account_changes_no_byte_of_another() {
                siblings::a_refresh_changes_one_entry($kind);
            }

            #[test]
            fn on_a_full_disk_no_token_is_spent_and_none_is_lost() {
                full_disk::before_the_request_and_at_the_save($kind);
            }
        })+
    };
}

on_every_backend! {
    sqlite => Backend::Sqlite,
    file => Backend::File,
}

/// What a process of these tests does. Alone it does nothing.
#[test]
fn child() {
    if let Some(task) = child::Task::asked() {
        task.run();
    }
}
