//! Passphrases that somebody hands to this process on a descriptor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use regrant::Secret;
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest passphrase: 4 KiB, more than anybody has and less than a file named by mistake.
const LONGEST: usize = 4 << 10;

/// The descriptors of this process that options name.
#[derive(Debug, Default)]
pub(crate) struct Descriptors(Mutex<BTreeMap<u32, io::Result<Handed>>>);

/// An open descriptor.
#[derive(Debug)]
enum Handed {
    /// Shared with whoever reads standard input later: what stands behind the line is theirs.
    Input,
    Other(File),
}

impl Descriptors {
    /// Opens those that these options name, `passphrase-fd:N`. Before this process opens files of
    /// its own, one of which would get the number of a descriptor that is closed. What is wrong
    /// with one is told to whoever reads it.
    pub(crate) fn of<'a>(options: impl IntoIterator<Item = &'a str>) -> Self {
        let numbers =
            options.into_iter().filter_map(|option| option.strip_prefix("passphrase-fd:"));
        let opened = numbers.filter_map(|number| number.parse().ok()).map(|n| (n, open(n)));
        Self(Mutex::new(opened.collect()))
    }

    /// The next line, without its end; the last one may have none.
    pub(crate) fn line(&self, number: u32) -> Result<Secret, Failure> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unreadable = || {
            Failure::usage(format!("no passphrase can be read on descriptor {number}")).remedy(
                format!(
                    "open it for reading: regrant ... --key passphrase-fd:{number} {number}<FILE"
                ),
            )
        };
        let line = match (number, opened.get_mut(&number)) {
            (1 | 2, _) => {
                let what = format!("descriptor {number} is for what regrant says");
                return Err(Failure::usage(what).remedy("name 0, or 3 and above"));
            }
            (_, Some(Ok(Handed::Input))) => read_line(&mut io::stdin().lock()),
            (_, Some(Ok(Handed::Other(file)))) => read_line(file),
            (_, Some(Err(error))) => return Err(unreadable().because(error)),
            (_, None) => return Err(unreadable()),
        };
        let line = line.map_err(|error| unreadable().because(&error))?;
        if line.is_empty() {
            return Err(Failure::usage(format!("the passphrase on descriptor {number} is empty"))
                .remedy("write the passphrase there, in one line"));
        }
        let wrong =
            |why: &str| Failure::usage(format!("the passphrase on descriptor {number} {why}"));
        if line.len() > LONGEST {
            return Err(wrong("is longer than 4 KiB"));
        }
        let text = std::str::from_utf8(&line).map_err(|_| wrong("is not UTF-8"))?;
        Ok(Secret::new(text.to_owned()))
    }
}

#[cfg(unix)]
fn open(number: u32) -> io::Result<Handed> {
    use rustix::fs::{Mode, OFlags};
    if number == 0 {
        return Ok(Handed::Input);
    }
    // Opening waits for nobody: a named pipe may have lost its writer, and still hold the line.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(format!("/dev/fd/{number}"), flags, Mode::empty())?;
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(Handed::Other(file.into()))
}

#[cfg(not(unix))]
fn open(number: u32) -> io::Result<Handed> {
    match number {
        0 => Ok(Handed::Input),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Byte for byte: nothing behind the line is taken, and nothing of it stays in a buffer.
fn read_line(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more than may be there, and the end of the line; it never grows, which would leave
    // a copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    let mut byte = Zeroizing::new([0]);
    while line.len() <= LONGEST + 1 {
        match from.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_end_and_leaves_the_rest() {
        let mut input: &[u8] = b"one two\r\nthree\n\nfour";
        let mut next = || String::from_utf8(read_line(&mut input).unwrap().to_vec()).unwrap();
        assert_eq!([next(), next(), next(), next(), next()], ["one two", "three", "", "four", ""]);
    }

    #[test]
    fn what_is_too_long_is_not_read_to_its_end() {
        let mut input = io::repeat(b'x');
        assert!(read_line(&mut input).unwrap().len() > LONGEST);
    }

    #[test]
    fn what_cannot_be_a_descriptor_of_a_passphrase_is_a_wrong_usage() {
        let held = Descriptors::of(["passphrase-fd:1", "passphrase-fd:2", "passphrase-fd:999999"]);
        for number in [1, 2, 7, 999_999] {
            assert_eq!(held.line(number).unwrap_err().code, "usage");
        }
    }
}
