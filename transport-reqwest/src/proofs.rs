//! Proofs of possession on requests (RFC 9449): what servers said, and the next proof.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, HeaderName, HeaderValue};
use regrant::{
    Origin, Proof, ProofError, ProofSigner, Secret, SystemClocks, TimeSource as _, Timestamp,
};
use regrant_core::Nonces;
use reqwest::Request;
use url::Url;

use crate::answer::date;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How much later than its receipt the date of an answer may be: 1 s, for a clock that was
/// reckoned from such a date is behind by what the date leaves out.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// How many servers' clocks are kept: 16, as many as nonces.
const CLOCKS: usize = 16;

/// Makes the proofs for servers of one kind, by what these have said. Clones share that.
#[derive(Clone, Debug)]
pub(crate) struct Proofs {
    signer: Arc<dyn ProofSigner>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    nonces: Nonces,
    /// Of the servers that found our clock wrong, at most [`CLOCKS`], the newest last.
    clocks: Vec<(Origin, ServerClock)>,
}

/// A server's clock, reckoned from one date.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    date: Timestamp,
    /// When that was, by the steady clock.
    at: Duration,
}

/// What a proof that goes out says, and to whom.
#[derive(Debug)]
pub(crate) struct Proven {
    origin: Origin,
    issued_at: Timestamp,
    nonce: Option<String>,
}

impl Proofs {
    pub(crate) fn new(signer: Arc<dyn ProofSigner>) -> Self {
        Self { signer, known: Arc::default() }
    }

    /// Puts a new proof on the request.
    pub(crate) async fn prove(
        &self,
        request: &mut Request,
        origin: Origin,
        access_token: Option<&Secret>,
    ) -> Result<Proven, ProofError> {
        let proven = {
            let known = self.known();
            let nonce = known.nonces.newest(&origin).map(str::to_owned);
            let issued_at = known.now(&origin);
            Proven { origin, issued_at, nonce }
        };
        let (method, url) = (request.method().clone(), target(request.url()));
        let mut proof = Proof::new(method.as_str(), url.as_str(), proven.issued_at);
        proof.nonce = proven.nonce.as_deref();
        proof.access_token = access_token;
        let signed = self.signer.sign(&proof).await?;
        let mut value = HeaderValue::from_str(signed.expose()).map_err(ProofError::new)?;
        value.set_sensitive(true);
        request.headers_mut().insert(DPOP, value);
        Ok(proven)
    }

    /// Takes the nonce of an answer, if it gave one.
    pub(crate) fn note(&self, proven: &Proven, nonce: Option<&str>) {
        if let Some(nonce) = nonce {
            self.known().nonces.note(&proven.origin, nonce);
        }
    }

    /// Whether a proof was refused for its time, as far as the answer's own `Date` says so. The
    /// next one is then made by the server's clock.
    pub(crate) fn was_untimely(&self, proven: &Proven, headers: &HeaderMap) -> bool {
        // A stored answer tells an old time (RFC 9111 section 5.1).
        let Some(date) = date(headers).filter(|_| !headers.contains_key(AGE)) else { return false };
        let mut known = self.known();
        let now = known.now(&proven.origin);
        let untimely = date < proven.issued_at_second() || date > now + WHOLE_SECONDS;
        if untimely {
            known.set(&proven.origin, ServerClock { date, at: SystemClocks.steady() });
        }
        untimely
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The time for a proof: by the steady clock once a server's date is known, so that a change
    /// of the wall clock changes nothing.
    fn now(&self, origin: &Origin) -> Timestamp {
        match self.clocks.iter().find(|(server, _)| server == origin) {
            Some((_, ServerClock { date, at })) => {
                *date + SystemClocks.steady().saturating_sub(*at)
            }
            None => SystemClocks.wall(),
        }
    }

    /// Goes by this clock for this server, and by no other's.
    fn set(&mut self, origin: &Origin, clock: ServerClock) {
        self.clocks.retain(|(server, _)| server != origin);
        if self.clocks.len() >= CLOCKS {
            self.clocks.remove(0);
        }
        self.clocks.push((origin.clone(), clock));
    }
}

impl Proven {
    /// Whether it went out without this nonce.
    pub(crate) fn lacks(&self, nonce: Option<&str>) -> bool {
        nonce.is_some() && self.nonce.as_deref() != nonce
    }

    /// Dates of HTTP have whole seconds.
    fn issued_at_second(&self) -> Timestamp {
        Timestamp::from_millis(self.issued_at.as_millis() / 1_000 * 1_000)
    }
}

/// `htu`: the URL without query and fragment (RFC 9449 section 4.2), and without what belongs to
/// no request target.
fn target(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // It fails where there is nothing to take away.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use http::header::DATE;

    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl ProofSigner for Nobody {
        async fn sign(&self, _: &Proof<'_>) -> Result<Secret, ProofError> {
            Err(ProofError::new("nobody signs"))
        }
    }

    fn api() -> Origin {
        Origin::parse("https://api.example").unwrap()
    }

    fn proven(proofs: &Proofs) -> Proven {
        Proven { origin: api(), issued_at: proofs.known().now(&api()), nonce: None }
    }

    fn dated(date: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))])
    }

    #[test]
    fn a_date_far_from_ours_is_the_time_of_the_next_proof_and_then_timely() {
        let proofs = Proofs::new(Arc::new(Nobody));
        for (date, year) in
            [("Wed, 21 Oct 2015 07:28:00 GMT", 2015), ("Mon, 21 Oct 2115 07:28:00 GMT", 2115)]
        {
            assert!(proofs.was_untimely(&proven(&proofs), &dated(date)));
            let next = proven(&proofs);
            assert_eq!(1970 + next.issued_at.as_millis() / (31_557_600 * 1_000), year);
            assert!(!proofs.was_untimely(&next, &dated(date)));
        }
        // It is that server's clock, and nobody else's.
        let other = Origin::parse("https://other.example").unwrap();
        let (before, now) = (SystemClocks.wall(), proofs.known().now(&other));
        assert!(now >= before && now.since(before) < Duration::from_secs(60));
    }

    #[test]
    fn without_a_date_of_its_own_an_answer_says_nothing_about_the_time() {
        let proofs = Proofs::new(Arc::new(Nobody));
        assert!(!proofs.was_untimely(&proven(&proofs), &HeaderMap::new()));
        let mut stored = dated("Wed, 21 Oct 2015 07:28:00 GMT");
        stored.insert(AGE, HeaderValue::from_static("60"));
        assert!(!proofs.was_untimely(&proven(&proofs), &stored));
        assert!(proofs.known().clocks.is_empty());
    }

    #[test]
    fn a_proof_lacks_a_nonce_that_it_did_not_carry() {
        let nonce = Some("a".into());
        let proven = Proven { origin: api(), issued_at: Timestamp::EPOCH, nonce };
        assert!(proven.lacks(Some("b")) && !proven.lacks(Some("a")) && !proven.lacks(None));
    }

    #[test]
    fn the_target_is_the_url_without_what_follows_its_path() {
        let target = |url| String::from(target(&Url::parse(url).unwrap()));
        assert_eq!(target("https://u:p@api.example:443/a%20b?c=d#e"), "https://api.example/a%20b");
        assert_eq!(target("http://127.0.0.1:9"), "http://127.0.0.1:9/");
    }
}
