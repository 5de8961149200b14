//! The runs that there are.

mod large;
mod small;

pub use large::large;
pub use small::SMALL;
