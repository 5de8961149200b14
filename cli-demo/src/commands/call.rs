//! `call`: requests with the credential.

use std::collections::BTreeMap;
use std::io::{Read as _, stdin};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use regrant::Origin;
use serde_json::json;

use super::{Context, url};
use crate::api::{Answered, Api, Request};
use crate::args::Call;
use crate::client_options::scope;
use crate::error::{Exit, Failure};
use crate::output::Output;
use crate::session::Tally;
use crate::shell::quoted;
use crate::store::Store;
use crate::time;

pub(super) async fn run(call: Call, context: &Context) -> Result<ExitCode, Failure> {
    let (url, origin) = url(&call.url, "the URL")?;
    let request = Request {
        method: method(&call)?,
        url,
        headers: headers(&call)?,
        body: call.data.as_deref().map(body).transpose()?,
        replayable: !call.no_replay,
    };
    let store = context.store().await?;
    let scope = must_be_bound(&store, &context.global.account, &origin).await?;
    let opened = context.session(&store).await?;
    let mut tally = Calls::default();
    let api = Api::new(opened.session(), &origin)?;
    let answers = stream::iter(0..call.repeat)
        .map(|_| api.send(&request))
        .buffered(usize::from(call.concurrency));
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answered) => tally.answered(answered, &call, context.output).await,
            Err(failure) => tally.failed(failure),
        }
    }
    let (counted, closed) = opened.close().await;
    if let Err(failure) = closed {
        tally.note(failure);
    }
    tally.say_notes(scope.as_deref(), context.output);
    tally.finish(&counted, context)
}

/// What came of the requests.
#[derive(Debug, Default)]
struct Calls {
    responses: BTreeMap<String, u64>,
    failed: u64,
    replays: u64,
    /// The scope that the API misses, word by word, if it said so at all.
    missing: Option<Vec<String>>,
    /// Whether it asked for fewer requests, and the longest wait that it named.
    rate_limit: Option<Option<Duration>>,
    /// What regrant or the network had to say, the most important first; one of each exit code.
    failures: Vec<Failure>,
}

impl Calls {
    async fn answered(&mut self, answered: Answered, call: &Call, output: Output) {
        let status = answered.status();
        *self.responses.entry(status.to_string()).or_default() += 1;
        self.replays += u64::from(answered.replays());
        if call.fail && status >= 400 {
            self.note(Failure::http_error(status));
        }
        if let Some(failure) = answered.remark() {
            self.note(failure);
        }
        if let Some(missing) = answered.missing_scope() {
            let known = self.missing.get_or_insert_default();
            let new: Vec<_> =
                missing.iter().filter(|word| !known.contains(word)).cloned().collect();
            known.extend(new);
        }
        self.rate_limit = self.rate_limit.max(answered.rate_limit());
        if let Err(failure) = shown(answered.into_body(), !output.is_json(), output).await {
            self.note(failure);
        }
    }

    fn failed(&mut self, failure: Failure) {
        self.failed += 1;
        self.note(failure);
    }

    fn note(&mut self, failure: Failure) {
        if self.failures.iter().all(|known| known.exit != failure.exit) {
            self.failures.push(failure);
        }
    }

    /// What to know beside the answers, which are the caller's.
    fn say_notes(&self, granted: Option<&str>, output: Output) {
        if let Some(missing) = &self.missing {
            output.note(&about_scope(missing, granted));
        }
        if let Some(wait) = self.rate_limit {
            let wait = wait.map_or("a while".to_owned(), time::length);
            output.note(&format!("the API asks for fewer requests: wait {wait} before the next"));
        }
    }

    fn finish(mut self, counted: &Tally, context: &Context) -> Result<ExitCode, Failure> {
        self.failures.sort_by_key(|failure| rank(failure.exit));
        let failure = self.failures.into_iter().next();
        if context.output.is_json() {
            let mut summary = json!({
                "responses": self.responses,
                "failed": self.failed,
                "refreshes": counted.refreshes(),
                "replays": self.replays,
                "adopted": counted.adopted(),
            });
            if let Some(missing) = self.missing {
                summary["scope_missing"] = missing.into();
            }
            let exit = failure.as_ref().map_or(Exit::Done, |failure| failure.exit);
            if let Some(failure) = failure {
                summary["error"] = context.advised(failure).to_json();
            }
            context.output.object(&summary)?;
            return Ok(exit.into());
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Exit::Done.into()),
        }
    }
}

/// Of several requests, the worst answer is the command's.
fn rank(exit: Exit) -> usize {
    let order = [
        Exit::Store,
        Exit::Login,
        Exit::Misconfigured,
        Exit::StillRejected,
        Exit::NotNow,
        Exit::HttpError,
    ];
    order.iter().position(|worse| *worse == exit).unwrap_or(order.len())
}

/// Writes the body as it comes, or only waits for its end.
async fn shown(mut body: reqwest::Response, shown: bool, output: Output) -> Result<(), Failure> {
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) if shown => output.bytes(&chunk)?,
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => {
                let error = error.without_url();
                return Err(Failure::network("the answer broke off").because(&error));
            }
        }
    }
}

/// The token is good and does not reach this far: only a login that asks for more helps, and it
/// asks for what there was as well.
fn about_scope(missing: &[String], granted: Option<&str>) -> String {
    if missing.is_empty() {
        return "the token does not reach this far, and the API does not say which scope it misses: \
                look it up there, then regrant login --scope"
            .to_owned();
    }
    let missing = missing.join(" ");
    let wanted = scope([granted.unwrap_or_default(), &missing]).unwrap_or_default();
    format!(
        "the token does not reach this far: the API misses the scope {missing:?}. To get it: \
         regrant login --scope {}",
        quoted(&wanted)
    )
}

/// Before a session is opened, because an open session may send a token request. Gives the scope
/// of the token, or else the one that was asked for.
async fn must_be_bound(
    store: &Store,
    account: &str,
    origin: &Origin,
) -> Result<Option<String>, Failure> {
    // What cannot be read, or is logged out, the session tells.
    match store.load(account).await {
        Ok(Some(record)) if !record.is_logged_out() => {
            if !record.origins.contains(origin) {
                return Err(Failure::not_bound(origin));
            }
            let granted = record.slot().and_then(|slot| slot.scope.clone());
            Ok(granted.or(record.client.scope))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn method(call: &Call) -> Result<Method, Failure> {
    match &call.method {
        Some(method) => {
            Method::from_bytes(method.as_bytes()).map_err(|_| Failure::usage("-X names no method"))
        }
        None if call.data.is_some() => Ok(Method::POST),
        None => Ok(Method::GET),
    }
}

fn headers(call: &Call) -> Result<HeaderMap, Failure> {
    let mut headers = read_headers(&call.headers)?;
    if call.data.is_some() && !headers.contains_key(CONTENT_TYPE) {
        // As curl says of its -d.
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
    }
    Ok(headers)
}

fn read_headers(lines: &[String]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for line in lines {
        // The value may be a secret, so it is not quoted.
        let wrong =
            || Failure::usage("a header is not as it should be").remedy("write -H 'Name: value'");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        if name == AUTHORIZATION {
            return Err(Failure::usage("the Authorization header is regrant's own")
                .remedy("leave it away; regrant adds the token"));
        }
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// As curl's --data-binary reads it: text, a file, or standard input; byte for byte.
fn body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(path) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let read = if path == "-" {
        let mut bytes = Vec::new();
        stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::usage("the body cannot be read").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_exit_code_is_the_command_s() {
        let mut exits = [
            Exit::HttpError,
            Exit::NotNow,
            Exit::Other,
            Exit::StillRejected,
            Exit::Misconfigured,
            Exit::Login,
            Exit::Store,
        ];
        exits.sort_by_key(|exit| rank(*exit));
        let codes = exits.map(|exit| exit as u8);
        assert_eq!(codes, [6, 3, 7, 5, 4, 22, 1]);
    }

    #[test]
    fn the_scope_to_log_in_for_is_what_there_was_and_what_is_missing() {
        let said = about_scope(&["admin".to_owned()], Some("read write"));
        assert!(said.contains("regrant login --scope \"read write admin\""), "{said}");
        let hostile = about_scope(&["$(id)".to_owned()], None);
        assert!(hostile.contains("--scope '$(id)'"), "{hostile}");
        assert!(!said.contains("expired") && !about_scope(&[], None).contains("expired"));
    }

    #[test]
    fn a_header_is_a_name_and_a_value_and_never_quoted() {
        let read = |line: &str| read_headers(&[line.to_owned()]);
        assert_eq!(read("X-A:  b ").unwrap()["x-a"], "b");
        assert_eq!(read("X-A:").unwrap()["x-a"], "");
        for line in ["canary", ": canary", "X A: canary", "Authorization: canary"] {
            let failure = read(line).unwrap_err();
            assert!(!failure.to_prose().contains("canary"), "{line}");
        }
    }
}
