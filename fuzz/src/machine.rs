//! The real machine, and a host that does to it what bytes say.
//!
//! Each byte is something that happens: an action ends well or badly or twice, the clock jumps, a
//! server rejects, another process writes, a user logs in or out, the process dies. The
//! [`oracle`] looks at every output, and at the view after each input; when the bytes are over,
//! the world gets well and everything that was promised must come.

mod bytes;
mod host;
mod operation;
mod oracle;
mod others;
mod world;

use bytes::Bytes;
use host::Host;

pub(super) use operation::Operation;

/// Does to a machine what the bytes say.
pub fn machine(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut host = Host::new(&mut bytes);
    while let Some(byte) = bytes.next() {
        host.does(Operation::of(byte), &mut bytes);
    }
    host.recovers();
}
