//! What every [`BlobStore`](crate::BlobStore) of one host keeps when its users are processes: they
//! come in crowds, they are killed, and their disk is full.

mod calls;
mod crowds;
mod host;
mod kills;
mod part;
pub(super) mod signals;
mod strace;

pub use calls::{
    a_full_disk_is_told_and_leaves_what_it_says,
    a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all,
    a_kill_at_any_system_call_of_a_save_leaves_old_or_new,
};
pub use crowds::{
    fifty_processes_that_save_lose_nothing, lists_are_complete_while_processes_write,
    of_fifty_processes_that_create_one_name_one_wins, readers_see_no_gap_and_nothing_older,
};
pub use host::{Host, Making};
pub use kills::{a_kill_at_first_use_stops_nobody, an_acknowledged_save_survives_a_kill};
pub use part::child_of_a_law;

pub(super) use host::{Process, asked, hears, left_out, told};
pub(super) use strace::{Call, Strace, is_there, may_be_traced};

/// A place that other processes find.
pub trait ProcessPlace: Sized + Send + Sync {
    /// Where it is, in words that [`at`](Self::at) understands in another process.
    fn address(&self) -> String;

    /// The place at this address, which another process made and will take away.
    fn at(address: &str) -> Self;

    /// What killed processes have left there and nobody has swept, one line each. Asked after
    /// further saves, when nothing is under way: what is found then would grow with every kill.
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
}
