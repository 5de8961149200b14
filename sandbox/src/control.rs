//! Control endpoints, for scripts and other processes.
//!
//! They take only `application/json`, which a page of another origin cannot send unasked, and no
//! request with an `Origin`.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    extract::{FromRequest, Request, State, rejection::JsonRejection},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api_config::{Demand, Rejection},
    config::Config,
    controls::{ConfigureError, Login},
    fault::{Endpoint, Fault},
    shared::{HoldPoint, Shared},
    stats::{RequestRecord, Stats},
};

type Control = State<Arc<Shared>>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/stats", get(stats))
        .route("/_sandbox/log", get(log))
        .route("/_sandbox/issue", post(issue))
        .route("/_sandbox/device", post(device))
        .route("/_sandbox/expire", post(expire))
        .route("/_sandbox/revoke", post(revoke))
        .route("/_sandbox/faults", post(faults))
        .route("/_sandbox/clock", post(clock))
        .route("/_sandbox/config", get(config).post(configure))
        .route("/_sandbox/hold", post(hold))
        .route("/_sandbox/api", post(api))
        .route("/_sandbox/reset-stats", post(reset_stats))
        .layer(middleware::from_fn(refuse_pages))
}

/// Pages name their origin in every request but a plain GET, which changes nothing here.
async fn refuse_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return problem(StatusCode::FORBIDDEN, "a sandbox is not controlled by pages");
    }
    next.run(request).await
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

/// A JSON body; what is none is answered in JSON too.
struct Command<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Command<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::from_request(request, state).await {
            Ok(Json(command)) => Ok(Self(command)),
            Err(rejection) => {
                let rejection: JsonRejection = rejection;
                Err(problem(rejection.status(), &rejection.body_text()))
            }
        }
    }
}

async fn stats(State(shared): Control) -> Json<Stats> {
    Json(shared.read(crate::shared::Inner::snapshot))
}

async fn log(State(shared): Control) -> Json<Vec<RequestRecord>> {
    Json(shared.read(|inner| inner.log.to_vec()))
}

async fn issue(State(shared): Control, Command(login): Command<Login>) -> Json<Value> {
    Json(shared.issue(login))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    user_code: String,
    approve: bool,
}

async fn device(State(shared): Control, Command(request): Command<Device>) -> Response {
    if shared.decide_device(&request.user_code, request.approve) {
        Json(json!({ "ok": true })).into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "no device waits for this code")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    api: Option<String>,
}

async fn expire(State(shared): Control, Command(request): Command<Expire>) -> Response {
    if let Some(api) = &request.api
        && !shared.addresses.apis.contains_key(api)
    {
        return problem(StatusCode::NOT_FOUND, "there is no such API");
    }
    shared.expire(request.api.as_deref());
    Json(json!({ "ok": true })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// Any token of the family; absent revokes everything.
    token: Option<String>,
}

async fn revoke(State(shared): Control, Command(request): Command<Revoke>) -> Json<Value> {
    let revoked = match request.token {
        Some(token) => u64::from(shared.revoke_family(&token)),
        None => shared.revoke_all(),
    };
    Json(json!({ "families_revoked": revoked }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Faults {
    endpoint: Endpoint,
    /// First forgets the queue and the fault for ever.
    clear: bool,
    add: Vec<Fault>,
    always: Option<Fault>,
}

async fn faults(State(shared): Control, Command(request): Command<Faults>) -> Json<Value> {
    if request.clear {
        shared.clear_faults(request.endpoint);
    }
    if let Some(always) = request.always {
        shared.always(request.endpoint, Some(always));
    }
    shared.inject(request.endpoint, request.add);
    let queued = shared.update(|inner| inner.script(request.endpoint).queue.len());
    Json(json!({ "queued": queued }))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockChange {
    OffsetMs(i64),
    AdvanceMs(i64),
}

async fn clock(State(shared): Control, Command(change): Command<ClockChange>) -> Json<Value> {
    shared.set_clock_offset_ms(match change {
        ClockChange::OffsetMs(offset) => offset,
        ClockChange::AdvanceMs(step) => shared.clock.offset_ms().saturating_add(step),
    });
    Json(json!({ "offset_ms": shared.clock.offset_ms(), "now_ms": shared.clock.now_ms() }))
}

async fn config(State(shared): Control) -> Json<Config> {
    Json(shared.read(|inner| inner.config.clone()))
}

async fn configure(State(shared): Control, Command(patch): Command<Value>) -> Response {
    match shared.patch(&patch) {
        Ok(config) => Json(config).into_response(),
        Err(error @ ConfigureError::Fixed) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(ConfigureError::Shape(source)) => problem(StatusCode::BAD_REQUEST, &source.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hold {
    At(HoldPoint),
    /// Lets go what is held, and with `true` also forgets what was armed.
    Release(bool),
}

async fn hold(State(shared): Control, Command(request): Command<Hold>) -> Json<Value> {
    let released = match request {
        Hold::At(point) => {
            shared.update(|inner| inner.armed.push_back(point));
            0
        }
        Hold::Release(disarm) => {
            if disarm {
                shared.update(|inner| inner.armed.clear());
            }
            shared.release()
        }
    };
    let armed = shared.read(|inner| inner.armed.len());
    Json(json!({ "armed": armed, "released": released }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Api {
    name: String,
    reject_all: Option<bool>,
    flip: Option<u64>,
    /// The only tokens it takes; an empty list takes none, and `accept_any` ends it.
    accept_only: Option<BTreeSet<String>>,
    #[serde(default)]
    accept_any: bool,
    /// What it wants besides a good token; `demand_nothing` ends it.
    demand: Option<Demand>,
    #[serde(default)]
    demand_nothing: bool,
    minimum_age_ms: Option<u64>,
    rejection: Option<Rejection>,
}

async fn api(State(shared): Control, Command(request): Command<Api>) -> Response {
    if !shared.addresses.apis.contains_key(&request.name) {
        return problem(StatusCode::NOT_FOUND, "there is no such API");
    }
    if let Some(reject) = request.reject_all {
        shared.reject_all(&request.name, reject);
    }
    if let Some(every) = request.flip {
        shared.flip(&request.name, every);
    }
    if request.accept_any || request.accept_only.is_some() {
        shared.accept_only(&request.name, request.accept_only);
    }
    shared.configure_api(&request.name, |config| {
        if request.demand_nothing || request.demand.is_some() {
            config.demand = request.demand;
        }
        config.minimum_age_ms = request.minimum_age_ms.unwrap_or(config.minimum_age_ms);
        if let Some(rejection) = request.rejection {
            config.rejection = rejection;
        }
    });
    Json(json!({ "ok": true })).into_response()
}

async fn reset_stats(State(shared): Control, Command(_): Command<Value>) -> Json<Value> {
    shared.update(crate::shared::Inner::reset_stats);
    Json(json!({ "ok": true }))
}
