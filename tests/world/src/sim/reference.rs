//! THE REFERENCE: what must be true whatever happens, in terms of the authorization server's own
//! books, of what the store holds and of what callers are told. It knows nothing of the machine.
//!
//! Each hook below is one thing that was seen. It asks whether that may be, and notes it.

use std::collections::BTreeMap;
use std::fmt;

use regrant_core::LoginReason;

use crate::sim::authority::{AccessToken, Family, Judgement, RefreshToken};
use crate::sim::books::{Ask, Books, Kept, Known, Who};
use crate::sim::loss::{self, Loss};
use crate::sim::ops::Profile;

/// How long a caller waits: 30 s, and a second for what has ended to be heard after a stop.
const PATIENCE: u64 = 31_000;
/// The shortest cool-down: a minute.
const COOL_DOWN: u64 = 60_000;
/// From the last moment at which an attempt sends to the end of its intent: 5 s, one save.
const LAST_SAVE: u64 = 5_000;
/// An intent: 20 s of attempt, 5 s of save.
const INTENT: u64 = 25_000;
/// Tries of one attempt: 6, the replay among them, and one more for a server's nonce.
const TRIES: u32 = 7;

/// What must hold, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A login is asked for only where a refusal, a logout, another subject or a missing refresh
    /// token is behind it, and not while the store holds something better.
    FalseLogin,
    /// A new refresh token that reached a live process is in its hands or in the store.
    LostRotation,
    /// One token request per generation, and those further ones that failures and doubt allow.
    AskedAgain,
    /// No token request without an intent in the store.
    NoIntent,
    /// No token request without a rejection or an expiry that is near.
    NoCause,
    /// Nobody overwrites a good refresh token, or calls it dead.
    Overwritten,
    /// A logout stays.
    LogoutUndone,
    /// A token is not sent again to an API that rejected it.
    SentAgain,
    /// A new access token is used only when it is in the store, or the store would not take it.
    NotDurable,
    /// A dead grant is not asked for again.
    DeadAskedAgain,
    /// Token requests stay under a function of time.
    Storm,
    /// Every caller is answered within its patience.
    Patience,
    /// No request goes where the credential is not bound to, and none is turned away from where
    /// it is.
    Foreign,
    /// Everybody is served again in bounded time once nothing is wrong.
    Recovery,
    /// Nothing is lost that this mode of the simulation says can be saved.
    Savable,
    /// No machine runs in circles.
    Circles,
}

/// A rule was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// When, in milliseconds from the beginning.
    pub at: u64,
    /// How.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms: {}", self.rule, self.at, self.what)
    }
}

/// The reference, and what it has seen.
#[derive(Clone, Debug)]
pub struct Reference {
    /// What was seen.
    pub books: Books,
    /// The first rule that was broken.
    pub broken: Option<Broken>,
    /// Why the authorization server refuses each login, by its number.
    pub losses: Vec<Option<Loss>>,
    /// The logins whose loss a caller was told of.
    pub told: BTreeMap<Family, Loss>,
}

impl Reference {
    /// Nothing was seen.
    pub fn new(books: Books) -> Self {
        Self { books, broken: None, losses: Vec::new(), told: BTreeMap::new() }
    }

    /// Notes the first rule that is broken.
    pub fn demand(&mut self, holds: bool, rule: Rule, at: u64, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(Broken { rule, at, what: what() });
        }
    }

    /// A save was applied.
    pub fn saved(&mut self, who: Who, kept: Kept, now: u64) {
        let old = self.books.kept().clone();
        let books = &self.books;
        let same = old.incarnation == kept.incarnation;
        let login = kept.incarnation.is_some_and(|id| !books.incarnations.contains(&id));
        let undone =
            old.logged_out && !kept.logged_out && !login && (same || books.restored_at.is_none());
        self.demand(!undone, Rule::LogoutUndone, now, || {
            format!("p{} saved {kept:?}", who.process)
        });
        if let Some(token) = old.refresh.filter(|token| self.books.authority.is_live(*token)) {
            let stays = kept.refresh == Some(token);
            let better = kept.refresh.is_some_and(|new| self.books.authority.is_live(new));
            // Over an older copy, a process saves the newer login that it has.
            let newer = !same && self.books.restored_at.is_some();
            let fine = stays || better || kept.logged_out || login || old.dead || newer;
            self.demand(fine, Rule::Overwritten, now, || {
                format!("p{} saved {:?} over r{token}", who.process, kept.refresh)
            });
            let seen = *self.books.refresh(token);
            let buried = stays && kept.dead && !(seen.refused || seen.stranger);
            self.demand(!buried, Rule::Overwritten, now, || {
                format!("p{} calls r{token} dead, which nobody refused", who.process)
            });
        }
        let begins = kept.begun.is_some() && kept.begun != old.begun;
        if let Some(host) = self.books.host(who).filter(|_| begins) {
            (host.intent, host.tries) = (Some((now, kept.clone())), 0);
        }
        self.books.stored(kept, false, now);
    }

    /// A token request leaves, when its sender's clock says `clock`. Gives its number.
    pub fn asks(&mut self, who: Who, token: RefreshToken, clock: u64, now: u64) -> usize {
        let host = &mut self.books.hosts[who.process];
        host.tries += 1;
        let (tries, intent) = (host.tries, host.intent.clone());
        let fits = |(_, kept): &&(u64, Kept)| kept.refresh == Some(token) && tries <= TRIES;
        let begun = intent.as_ref().filter(fits);
        self.demand(begun.is_some(), Rule::NoIntent, now, || {
            format!("p{} asks with r{token}, its {tries}. try, after {intent:?}", who.process)
        });
        let (begun_at, generation) = begun.map_or((now, 0), |(at, kept)| (*at, kept.generation));
        let ends = begun.and_then(|(_, kept)| Some(kept.begun?.1));
        let ends_by_clock = ends.unwrap_or(clock);
        if let Some((_, kept)) = begun.filter(|_| tries == 1) {
            // After a copy was put back, two logins can have the same generation, and a rejection
            // of one's token count for the other's.
            let confused = self.books.restored_at.is_some();
            let rejected =
                confused || kept.access.is_none_or(|access| self.books.access(access).rejected);
            // Processes spread over two leeways before the expiry.
            self.demand(rejected || kept.expired(clock, 2), Rule::NoCause, now, || {
                format!("p{} replaces a{:?} of its own accord", who.process, kept.access)
            });
            // It was decided when the intent was made, and saved a moment later.
            let decided = ends_by_clock.saturating_sub(INTENT);
            self.books.hosts[who.process].ahead = kept.good && !kept.expired(decided, 0);
        }
        let ahead = self.books.hosts[who.process].ahead;
        let known = (Known::Out, now);
        let (sent_at, sent_by_clock, judged) = (now, clock, None);
        let ask = Ask {
            who,
            token,
            generation,
            begun_at,
            ends_by_clock,
            ahead,
            sent_at,
            sent_by_clock,
            judged,
            known,
        };
        let last = self.books.refresh(token).last.map(|last| self.books.asks[last]);
        let fresh = last.is_none_or(|last| last.generation != generation);
        if let Some(last) = last.filter(|_| !fresh) {
            self.asks_again(&last, &ask);
        }
        self.books.asks.push(ask);
        let number = self.books.asks.len() - 1;
        let seen = self.books.refresh(token);
        seen.last = Some(number);
        seen.replayed &= !fresh;
        number
    }

    /// A further request with the refresh token of `last`.
    fn asks_again(&mut self, last: &Ask, ask: &Ask) {
        let books = &mut self.books;
        let seen = *books.refresh(ask.token);
        let now = ask.sent_at;
        let sender = &books.hosts[last.who.process];
        let asker = &books.hosts[ask.who.process];
        let unsure = sender.lease_unsure || asker.lease_unsure || books.lockless;
        let unsaved = sender.unsaved_at.is_some_and(|at| at >= last.sent_at);
        let excused = !books.lives(last.who) || unsaved || unsure;
        let restored = books.restored_at.is_some_and(|at| at >= last.sent_at);
        let asker = &mut books.hosts[ask.who.process];
        let reconsidered = books.reconsidered_at.is_some_and(|at| at >= last.sent_at)
            || last.known.0 == Known::Refused && asker.reconsiders > 0;
        if last.known.0 == Known::Refused {
            asker.reconsiders = asker.reconsiders.saturating_sub(1);
        }
        let profile = books.setup.profile;
        let survives = matches!(profile, Profile::Never | Profile::KeepsEarlier);
        let own = last.who == ask.who;
        let gap = match (own, books.skewed) {
            // Between processes whose clocks differ, one's cool-down can be another's past.
            (_, true) if books.hosts.len() > 1 => u64::MAX,
            (true, _) => ask.sent_by_clock - last.sent_by_clock,
            (false, false) => now - last.sent_at,
            (false, true) => u64::MAX,
        };
        let over = ask.sent_by_clock >= last.ends_by_clock || books.skewed;
        // A cool-down from a try ahead of need delays only tries ahead of need.
        let needed = last.ahead && !ask.ahead;
        let late = last.known.1 - last.sent_at > 20_000;
        let (may, rule) = match last.known.0 {
            Known::NotApplied => (true, Rule::AskedAgain),
            Known::Perhaps if seen.replayed => (gap >= COOL_DOWN || needed, Rule::AskedAgain),
            Known::Perhaps => (true, Rule::AskedAgain),
            Known::Out if own && seen.replayed => (gap >= COOL_DOWN || needed, Rule::AskedAgain),
            Known::Out if own => (gap >= LAST_SAVE, Rule::AskedAgain),
            Known::Out if seen.replayed => {
                (survives || over && (gap >= COOL_DOWN || needed), Rule::AskedAgain)
            }
            Known::Out => (survives || over, Rule::AskedAgain),
            Known::Granted => (survives && !own || late || reconsidered, Rule::AskedAgain),
            // A refusal that comes after its attempt is over is not waited for.
            Known::Refused => (reconsidered || late, Rule::DeadAskedAgain),
        };
        let buried = seen.known_dead && !restored && !reconsidered;
        if reconsidered {
            books.refresh(ask.token).replayed = false;
        } else if !matches!(last.known.0, Known::NotApplied | Known::Refused) {
            books.refresh(ask.token).replayed = true;
        }
        self.demand(may || excused || restored, rule, now, || {
            format!("p{} asks again with r{}, after {last:?}", ask.who.process, ask.token)
        });
        self.demand(!buried || unsure, Rule::DeadAskedAgain, now, || {
            format!("p{} asks with r{}, which the store calls dead", ask.who.process, ask.token)
        });
    }

    /// The server has judged a token request; `live` were the good tokens of that login before.
    pub fn judged(&mut self, number: usize, judgement: Judgement, live: &[RefreshToken], now: u64) {
        self.books.asks[number].judged = Some(judgement);
        let token = self.books.asks[number].token;
        match judgement {
            Judgement::Granted { refresh, killed, .. } => {
                let sent_at = self.books.asks[number].sent_at;
                if let Some(killed) = killed {
                    let minted = self.books.refresh(killed).minted;
                    let later = minted.is_some_and(|by| self.books.asks[by].sent_at > sent_at);
                    self.books.refresh(killed).overtaken = later;
                }
                if let Some(new) = refresh {
                    self.books.refresh(new).minted.get_or_insert(number);
                }
            }
            Judgement::Refused => {
                self.books.refresh(token).refused = true;
                let loss = loss::cause(&self.books, number, live, now);
                let ask = self.books.asks[number];
                self.demand(loss != Loss::Client, Rule::LostRotation, now, || {
                    format!("r{token} is refused though {live:?} came in time: {ask:?}")
                });
                let family = self.books.authority.family(token);
                if self.losses.len() <= family {
                    self.losses.resize(family + 1, None);
                }
                self.losses[family].get_or_insert(loss);
            }
        }
    }

    /// The sender of a token request hears of it.
    pub fn hears(&mut self, number: usize, known: Known, now: u64) {
        let ask = &mut self.books.asks[number];
        if matches!(ask.known.0, Known::Out | Known::Perhaps | Known::NotApplied) {
            ask.known = (known, now);
        }
    }

    /// A request with this token goes to an API.
    pub fn sends(&mut self, who: Who, to: u8, token: AccessToken, now: u64) {
        let host = &self.books.hosts[who.process];
        let told = host.told.contains(&(to, token));
        let excused = host.unsaved_at.is_some();
        // After a copy was put back, an old token is current again whose rejection was forgotten.
        let restored = self.books.restored_at.is_some();
        self.demand(!told || restored, Rule::SentAgain, now, || {
            format!("p{} sends a{token} to {to} again", who.process)
        });
        let saved = self.books.access(token).saved;
        self.demand(saved || excused, Rule::NotDurable, now, || {
            format!("p{} uses a{token}, which is not in the store", who.process)
        });
    }

    /// A process hears that an API rejected a token.
    pub fn rejected(&mut self, who: Who, from: u8, token: AccessToken) {
        self.books.access(token).rejected = true;
        if let Some(host) = self.books.host(who) {
            host.told.insert((from, token));
        }
    }

    /// A caller that has waited for `waited` since `begun` is answered.
    pub fn answered(&mut self, who: Who, begun: u64, waited: u64, now: u64) {
        self.demand(waited <= PATIENCE, Rule::Patience, now, || {
            format!("p{} let a caller of {begun} wait for {waited} ms", who.process)
        });
    }

    /// Somebody is told at `who` that a login is needed: a caller that began at `begun`, or people.
    pub fn asks_for_login(&mut self, who: Who, reason: LoginReason, begun: Option<u64>, now: u64) {
        let host = &self.books.hosts[who.process];
        // Whoever asks is answered by what is in the store after that, as far as it can be read.
        let unread = |begun: u64| host.unread_at.is_some_and(|at| at >= begun);
        let from = match begun {
            // Who knew more than the copy that was put back still knows it.
            _ if self.books.restored_at.is_some() => 0,
            Some(begun) if host.heard_at < begun && !unread(begun) => begun,
            Some(_) | None => host.read_at,
        };
        let kept: Vec<Kept> = self.books.kept_since(from).cloned().collect();
        let behind = kept.iter().find(|kept| self.is_behind(kept, reason));
        let lost =
            behind.and_then(|kept| kept.refresh).map(|token| self.books.authority.family(token));
        self.demand(behind.is_some(), Rule::FalseLogin, now, || {
            format!("p{} asks for a login, {reason}, over {kept:?}", who.process)
        });
        let loss = lost.and_then(|family| Some((family, (*self.losses.get(family)?)?)));
        self.told.extend(loss);
    }

    /// Whether what the store held is reason enough.
    fn is_behind(&self, kept: &Kept, reason: LoginReason) -> bool {
        let token = kept.refresh.or(kept.forgotten);
        let seen = token.and_then(|token| self.books.refresh.get(token));
        match reason {
            LoginReason::NotLoggedIn => kept.incarnation.is_none(),
            // Also when an older copy of it was put back.
            LoginReason::LoggedOut => {
                kept.incarnation.is_some_and(|id| self.books.buried.contains(&id))
            }
            LoginReason::NoRefreshToken => kept.refresh.is_none() && !kept.dead,
            LoginReason::Refused | LoginReason::ReuseDetected | LoginReason::RotationLost => {
                seen.is_some_and(|seen| seen.refused)
            }
            LoginReason::AccountMismatch => seen.is_some_and(|seen| seen.stranger),
            _ => false,
        }
    }

    /// The end of a run that took this long.
    pub fn ends(&mut self, now: u64) {
        let books = &self.books;
        let asked = books.asks.len() as u64;
        // A burst of 30 and one a minute; for every start, end, failed save and login, the tries
        // of one attempt that nobody debited, and after a login a new bucket. A clock that
        // differs from another's may find the bucket that the other left full once.
        let spread = if books.skewed { books.hosts.len() as u64 + 1 } else { 1 };
        let most = (30 + now / 60_000) * spread + 37 * books.upsets;
        self.demand(asked <= most, Rule::Storm, now, || {
            format!("{asked} requests, at most {most}")
        });
    }
}
