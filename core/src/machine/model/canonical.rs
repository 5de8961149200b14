//! The canonical form: numbers in which names, tokens and moments mean nothing but their place.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::client::Client;
use crate::id::{Id, TokenId};
use crate::machine::{Over, Policy};
use crate::origin::Origin;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::version::Version;

/// A state as a list of numbers: equal lists behave the same.
///
/// Names, tokens and texts become numbers by their first appearance, moments become distances
/// from the clock, with all of the past as one, and generations become distances from the one
/// that the store holds. No token is in it.
#[derive(Clone, Debug)]
pub struct Canonical {
    pub(super) policy: Policy,
    numbers: Vec<u64>,
    clock: Timestamp,
    /// How long something is still of consequence after it happened.
    memory: Duration,
    generation: u64,
    version: Option<Version>,
    actions: Vec<u64>,
    ids: Vec<Id>,
    tokens: Vec<Secret>,
    texts: Vec<String>,
    origins: Vec<Origin>,
    clients: Vec<Client>,
}

/// The place of a value in a list, at its end if it is new.
fn place<T>(list: &mut Vec<T>, known: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> u64 {
    let at = list.iter().position(known).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    });
    at as u64
}

impl Canonical {
    /// An empty list. `policy` is the one that all machines go by; `generation` and `version` are what the store holds now; `lifetime` is the
    /// greatest that the server announces, so that it is known how long the moment of a request
    /// is of consequence.
    pub fn new(
        policy: Policy,
        generation: u64,
        version: Option<Version>,
        lifetime: Duration,
    ) -> Self {
        Self {
            policy,
            numbers: Vec::with_capacity(256),
            clock: Timestamp::EPOCH,
            memory: lifetime,
            generation,
            version,
            actions: Vec::new(),
            ids: Vec::new(),
            tokens: Vec::new(),
            texts: Vec::new(),
            origins: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// Moments count from here on from this reading.
    pub fn clock(&mut self, now: Timestamp) {
        self.clock = now;
    }

    /// The actions that are out, in an order of the host's: the machine's numbers of them become
    /// their places.
    pub fn actions(&mut self, out: impl Iterator<Item = u64>) {
        self.actions.clear();
        self.actions.extend(out);
    }

    /// The tokens that appeared so far, in the order of their numbers.
    pub fn tokens(&self) -> &[Secret] {
        &self.tokens
    }

    /// The list.
    pub fn into_numbers(self) -> Vec<u64> {
        self.numbers
    }

    /// The list so far.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Writes a number.
    pub fn number(&mut self, number: u64) {
        self.numbers.push(number);
    }

    /// Writes flags, as one number.
    pub fn flags(&mut self, flags: &[bool]) {
        self.number(flags.iter().fold(1, |bits, flag| bits << 1 | u64::from(*flag)));
    }

    /// Writes whether there is something, and what.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flags(&[value.is_some()]);
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Writes how many there are, and each.
    pub fn list<'a, T: 'a, L>(&mut self, list: L, mut write: impl FnMut(&mut Self, &'a T))
    where
        L: IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
    {
        let list = list.into_iter();
        self.number(list.len() as u64);
        list.for_each(|value| write(self, value));
    }

    /// Writes how far ahead this is. All of the past is one.
    pub fn moment(&mut self, at: Timestamp) {
        let ahead = at.as_millis().saturating_sub(self.clock.as_millis());
        self.number(if at == Timestamp::NEVER { u64::MAX } else { ahead });
    }

    /// Writes when something happened, as far as it is of consequence.
    pub fn past(&mut self, at: Timestamp) {
        self.moment(at + self.memory);
    }

    /// Writes a generation.
    pub fn generation(&mut self, generation: u64) {
        self.number(generation.wrapping_sub(self.generation));
    }

    /// Writes the name of an access token.
    pub fn token_id(&mut self, TokenId { slot, generation }: TokenId) {
        self.number(u64::from(slot));
        self.generation(generation);
    }

    /// Writes a random name.
    pub fn id(&mut self, id: Id) {
        let at = place(&mut self.ids, |known| *known == id, || id);
        self.number(at);
    }

    /// Writes which token this is.
    pub fn token(&mut self, token: &Secret) {
        let at = place(&mut self.tokens, |known| known.is(token), || token.clone());
        self.number(at);
    }

    /// Writes which text this is.
    pub fn text(&mut self, text: &str) {
        let at = place(&mut self.texts, |known| known == text, || text.into());
        self.number(at);
    }

    /// Writes which origin this is.
    pub fn origin(&mut self, origin: &Origin) {
        let at = place(&mut self.origins, |known| known == origin, || origin.clone());
        self.number(at);
    }

    /// Writes which origins these are; their order is of no consequence.
    pub(super) fn origins_in_any_order(&mut self, origins: &[Origin]) {
        let at = |this: &mut Self, origin: &Origin| {
            place(&mut this.origins, |known| known == origin, || origin.clone())
        };
        let bits = origins.iter().fold(0, |bits, origin| bits | 1 << at(self, origin).min(63));
        self.number(bits);
    }

    /// Writes which client this is.
    pub(in crate::machine) fn client(&mut self, client: &Client) {
        let same = |known: &Client| {
            known.is(client)
                && known.revocation_endpoint == client.revocation_endpoint
                && known.issuer == client.issuer
        };
        let at = place(&mut self.clients, same, || client.clone());
        self.number(at);
    }

    /// Writes an action, if it is still out.
    pub(in crate::machine) fn action(&mut self, id: u64) {
        let at = self.place_of_action(id);
        self.number(at.unwrap_or(u64::MAX));
    }

    pub(in crate::machine) fn place_of_action(&self, id: u64) -> Option<u64> {
        self.actions.iter().position(|out| *out == id).map(|at| at as u64)
    }

    /// Writes what a save is to take the place of: an older version is never there again.
    pub fn over(&mut self, over: &Over) {
        self.number(match over {
            Over::Absent => 0,
            Over::Version(version) if self.version.as_ref() == Some(version) => 1,
            Over::Version(_) => 2,
            Over::Damaged => 3,
        });
    }
}
