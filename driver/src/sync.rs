//! What threads share: named here once, so that the model of the schedules (`tests/schedules`)
//! compiles the same sources over parts whose every interleaving it can explore.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use arc_swap::{ArcSwap, Guard};
