//! What goes wrong, as a person and a script read it: what, why, what to do, and the exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use regrant::{
    AccessError, Cause, ChangeError, Holder, LoginReason, NotSaved, OpenError, Origin, StoreError,
    StoreFault, Timestamp,
};
use serde_json::{Map, Value};

use crate::explain;
use crate::shell::quoted;
use crate::time;

/// The exit codes, as a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    Login = 3,
    NotNow = 4,
    StillRejected = 5,
    Store = 6,
    Misconfigured = 7,
    HttpError = 22,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The stable name, which `explain` knows.
    pub(crate) code: &'static str,
    /// Boxed, since every result has room for it.
    details: Box<Details>,
}

#[derive(Debug)]
struct Details {
    /// One sentence without its full stop.
    what: String,
    /// A stable name too, where the code has several.
    reason: Option<&'static str>,
    /// The authorization server's own code.
    server_code: Option<String>,
    remedy: String,
    retry_at: Option<Timestamp>,
    holder: Option<Holder>,
    /// What else is known of what it went wrong with, by name.
    facts: Vec<(&'static str, String)>,
}

impl Failure {
    fn new(exit: Exit, code: &'static str, what: impl Into<String>) -> Self {
        let details = Details {
            what: what.into(),
            reason: None,
            server_code: None,
            remedy: explain::remedy(code).to_owned(),
            retry_at: None,
            holder: None,
            facts: Vec::new(),
        };
        Self { exit, code, details: Box::new(details) }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", what)
    }

    pub(crate) fn other(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Exit::Other, code, what)
    }

    /// The network between here and the API.
    pub(crate) fn network(what: impl Into<String>) -> Self {
        Self::new(Exit::NotNow, "api_unreachable", what)
    }

    /// `call -f`, and an HTTP error came.
    pub(crate) fn http_error(status: u16) -> Self {
        Self::new(Exit::HttpError, "http_error", format!("the answer is {status}"))
    }

    /// The API wants another authentication than this login was (RFC 9470): one of these classes,
    /// the best first, and not older than so many seconds.
    pub(crate) fn step_up(acr_values: &[String], max_age: Option<u64>) -> Self {
        let what = "the API wants the user to authenticate once more";
        let failure = Self::new(Exit::Login, "step_up", what);
        let mut wanted = String::new();
        if !acr_values.is_empty() {
            // Writing to a string cannot fail.
            let classes = quoted(&acr_values.join(" "));
            let _ = write!(wanted, " --parameter acr_values={classes}");
        }
        if let Some(max_age) = max_age {
            let _ = write!(wanted, " --parameter max_age={max_age}");
        }
        if wanted.is_empty() {
            return failure;
        }
        failure
            .remedy(format!("log in again in the way that the API asks for: regrant login{wanted}"))
    }

    /// A login brought nothing, in the words of whoever tried.
    pub(crate) fn login(exit: Exit, code: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(exit, code, error.to_string());
        if let Some(source) = error.source() {
            failure = failure.because(source);
        }
        failure
    }

    /// The authorization server wants another login than this one was.
    pub(crate) fn refused_login(what: impl Into<String>) -> Self {
        Self::new(Exit::Login, "login_refused", what)
    }

    pub(crate) fn still_rejected(retry_at: Option<Timestamp>) -> Self {
        let what = "the API rejects freshly issued tokens too";
        Self::new(Exit::StillRejected, "still_rejected", what).retry_at(retry_at)
    }

    /// The credential is not bound to this origin.
    pub(crate) fn not_bound(origin: &Origin) -> Self {
        let what = format!("the credential is not bound to {origin}, so nothing was sent there");
        Self::new(Exit::Usage, "foreign_origin", what)
            .remedy(format!("if the token may go there: regrant allow {origin}"))
    }

    pub(crate) fn needs_login(reason: LoginReason, server_code: Option<String>) -> Self {
        let what = explain::what(reason.as_str()).to_owned();
        let mut failure = Self::new(Exit::Login, "needs_login", what);
        failure.details.reason = Some(reason.as_str());
        failure.details.server_code = server_code;
        failure.remedy(explain::remedy(reason.as_str()))
    }

    /// The authorization server gave neither a token nor a refusal.
    pub(crate) fn delayed(
        cause: Cause,
        server_code: Option<String>,
        retry_at: Option<Timestamp>,
    ) -> Self {
        let misconfigured = matches!(cause, Cause::ClientMisconfigured | Cause::EndpointMoved);
        let (exit, code) = match misconfigured {
            true => (Exit::Misconfigured, "misconfigured"),
            false => (Exit::NotNow, "delayed"),
        };
        let mut failure = Self::new(exit, code, explain::what(cause.as_str()));
        failure.details.reason = Some(cause.as_str());
        failure.details.server_code = server_code;
        failure.remedy(explain::remedy(cause.as_str())).retry_at(retry_at)
    }

    /// The store cannot be used.
    pub(crate) fn store(fault: StoreFault, source: Option<&StoreError>) -> Self {
        let code = fault.as_str();
        match source {
            // The store's own words say more than the page does.
            Some(source) => Self::new(Exit::Store, code, "the credential store").because(source),
            None => Self::new(Exit::Store, code, explain::what(code)),
        }
    }

    /// The same, told by the store itself.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        Self::store(error.kind(), Some(error))
    }

    /// The store confirmed a save and does not hold what was saved.
    pub(crate) fn login_unsaved() -> Self {
        let what = "the login could not be saved: the store confirmed it and does not have it";
        let remedy = "choose another place with --store; `regrant doctor` looks at this one";
        Self::new(Exit::Store, "grant_unsaved", what).remedy(remedy)
    }

    /// The call went through, and what it brought could not be saved.
    fn grant_unsaved(fault: Option<StoreFault>, source: Option<&StoreError>) -> Self {
        let what = "the new tokens could not be saved: the login is lost with this process";
        let mut failure = Self::new(Exit::Store, "grant_unsaved", what);
        failure.details.reason = fault.map(StoreFault::as_str);
        match source {
            Some(source) => failure.because(source),
            None => failure,
        }
    }

    /// With the errors it came from, outermost first.
    #[must_use]
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.details.what.contains(&text) {
                // Writing to a string cannot fail.
                let _ = write!(self.details.what, ": {text}");
            }
            next = error.source();
        }
        self
    }

    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.details.remedy = remedy.into();
        self
    }

    #[must_use]
    pub(crate) fn retry_at(mut self, retry_at: Option<Timestamp>) -> Self {
        self.details.retry_at = retry_at;
        self
    }

    /// With something else that is known.
    #[must_use]
    pub(crate) fn beside(mut self, name: &'static str, fact: impl Into<String>) -> Self {
        self.details.facts.push((name, fact.into()));
        self
    }

    /// What happened, without what to do.
    pub(crate) fn what(&self) -> &str {
        &self.details.what
    }

    /// The name of what happened, as it is printed.
    pub(crate) fn reason(&self) -> &'static str {
        self.details.reason.unwrap_or(self.code)
    }

    /// What to do about it.
    pub(crate) fn what_to_do(&self) -> &str {
        &self.details.remedy
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("code", self.code.into());
        put("reason", self.reason().into());
        put("message", self.details.what.as_str().into());
        put("remedy", self.details.remedy.as_str().into());
        put("exit", (self.exit as u8).into());
        if let Some(code) = &self.details.server_code {
            put("server_code", code.as_str().into());
        }
        if let Some(at) = self.details.retry_at {
            put("retry_at", time::json(Some(at)));
        }
        if let Some(holder) = &self.details.holder {
            put("pid", holder.pid.into());
            put("since", time::json(holder.since));
        }
        for (name, fact) in &self.details.facts {
            put(name, fact.as_str().into());
        }
        Value::Object(members)
    }

    pub(crate) fn to_prose(&self) -> String {
        let red = AnsiColor::Red.on_default().bold();
        let bold = Style::new().bold();
        let mut text = format!("{red}regrant:{red:#} {}", self.details.what);
        let server = |code| format!(", the server said {code:?}");
        let said = self.details.server_code.as_deref().map(server).unwrap_or_default();
        let code = self.reason();
        text += &format!(" ({code}{said})\n");
        if let Some(at) = self.details.retry_at {
            text += &format!("  {bold}when:{bold:#} {}\n", time::to_come(at, time::now()));
        }
        text += &format!("  {bold}what to do:{bold:#} {}\n", self.details.remedy);
        for (name, fact) in &self.details.facts {
            text += &format!("  {bold}{}:{bold:#} {fact}\n", name.replace('_', " "));
        }
        text
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NeedsLogin { reason, code, token_source } => {
                let mut failure = Self::needs_login(reason, code);
                if let Some(source) = token_source {
                    failure.details.facts.push(("source", source));
                }
                failure
            }
            AccessError::StillRejected { retry_at } => Self::still_rejected(Some(retry_at)),
            AccessError::Delayed { cause, code, retry_at } => {
                Self::delayed(cause, code, Some(retry_at))
            }
            AccessError::Budget { retry_at } => {
                let what = explain::what("budget_spent");
                Self::new(Exit::NotNow, "budget_spent", what).retry_at(Some(retry_at))
            }
            AccessError::Store { fault, source, .. } => Self::store(fault, source.as_deref()),
            AccessError::Busy { holder, held_for } => {
                let pid = holder.pid.map_or("unknown".to_owned(), |pid| pid.to_string());
                let since = holder.since.and_then(time::rfc3339);
                let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
                let long = held_for.map(|long| format!(", for {}", time::length(long)));
                let what = format!(
                    "another process (pid {pid}) refreshes this credential{since}{}",
                    long.unwrap_or_default()
                );
                let mut failure = Self::new(Exit::NotNow, "lease_busy", what);
                if holder.pid.is_some() {
                    failure = failure.remedy(format!(
                        "wait for process {pid}; if it is stopped or hangs, let it go on or end it"
                    ));
                }
                failure.details.holder = Some(holder);
                failure
            }
            AccessError::TimedOut => {
                Self::new(Exit::NotNow, "timed_out", explain::what("timed_out"))
            }
            AccessError::Foreign { origin } => Self::not_bound(&origin),
            AccessError::Closed => Self::other("session_closed", error.to_string()),
            // The enum may grow; its own words say the most then.
            other => Self::other(other.code(), other.to_string()).retry_at(other.retry_at()),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store { fault, source } => Self::store(fault, source.as_deref()),
            ChangeError::NotLoggedIn => Self::needs_login(LoginReason::NotLoggedIn, None),
            ChangeError::Closed => Self::other("session_closed", error.to_string()),
            other => Self::other("internal", "the change was not made").because(&other),
        }
    }
}

impl From<NotSaved> for Failure {
    fn from(error: NotSaved) -> Self {
        match error {
            NotSaved::Store { fault, source } => {
                Self::grant_unsaved(Some(fault), source.as_deref())
            }
            NotSaved::UnderWay => {
                Self::new(Exit::NotNow, "timed_out", "a refresh is under way still")
            }
            other => Self::grant_unsaved(None, None).because(&other),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of_store(&error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::other("internal", "the session could not be opened").because(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::tests::STORE_FAULTS;
    use std::time::Duration;

    fn holder(since: Timestamp) -> Holder {
        Holder { pid: Some(42), since: Some(since), ..Holder::default() }
    }

    fn every() -> Vec<Failure> {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let origin = Origin::parse("https://api.example").unwrap();
        let holder = holder(at);
        let mut all = vec![
            Failure::usage("x"),
            Failure::other("internal", "x"),
            Failure::other("output", "x"),
            Failure::network("x"),
            Failure::http_error(404),
            Failure::step_up(&[], None),
            AccessError::StillRejected { retry_at: at }.into(),
            AccessError::Budget { retry_at: at }.into(),
            AccessError::Busy { holder, held_for: Some(Duration::from_secs(7)) }.into(),
            AccessError::TimedOut.into(),
            AccessError::Foreign { origin }.into(),
            AccessError::Closed.into(),
            ChangeError::NotLoggedIn.into(),
            ChangeError::Closed.into(),
            NotSaved::UnderWay.into(),
        ];
        let reasons = LoginReason::ALL.iter();
        all.extend(reasons.map(|reason| Failure::needs_login(*reason, Some("code".to_owned()))));
        all.extend(Cause::ALL.iter().map(|cause| Failure::delayed(*cause, None, Some(at))));
        for fault in STORE_FAULTS {
            all.push(Failure::store(*fault, None));
            all.push(NotSaved::Store { fault: *fault, source: None }.into());
        }
        all
    }

    #[test]
    fn every_code_that_an_error_can_carry_has_its_page() {
        for failure in every() {
            for code in [Some(failure.code), failure.details.reason].into_iter().flatten() {
                assert!(explain::page(code).is_some(), "{code} has no page");
            }
            assert!(!failure.details.remedy.is_empty(), "{failure:?}");
        }
    }

    #[test]
    fn a_fault_of_the_store_is_never_printed_as_a_missing_login() {
        for fault in STORE_FAULTS {
            let failure = Failure::store(*fault, None);
            assert_eq!(failure.exit, Exit::Store);
            let text = format!("{}{}", failure.to_prose(), failure.to_json());
            assert!(!text.to_lowercase().contains("not logged in"), "{text}");
            assert!(!text.contains("login needed"), "{text}");
        }
    }

    #[test]
    fn busy_names_the_process_and_since_when() {
        let holder = holder(Timestamp::from_millis(1_700_000_000_000));
        let failure: Failure = AccessError::Busy { holder, held_for: None }.into();
        let text = failure.to_prose();
        assert!(text.contains("pid 42") && text.contains("2023-11-14T22:13:20Z"), "{text}");
        assert_eq!(failure.to_json()["pid"], 42);
        assert_eq!(failure.exit, Exit::NotNow);
    }
}
