//! The runs that there are.

mod large;
mod small;
mod table;

pub use large::large;
pub use small::SMALL;
pub use table::table;
