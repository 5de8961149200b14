//! Every public type that holds a secret, as `Debug` prints it. All others are listed, so that a
//! new type is looked at.

use regrant::{Client, Grant, Renewing, Secret, Timestamp};
use regrant_core::protocol::{
    ApiReply, Profile, TokenReply, challenges, read_api_reply, read_token_reply,
    revocation_request, token_request,
};
use regrant_core::{
    Action, Answer, Applied, Cause, ClientAuthentication, Failure, Id, Input, Login, Machine,
    Outcome, Output, Over, Policy, Record, Stored, Strength, TokenId, Version,
};
use regrant_reqwest::Assertion;
use regrant_storage::{Fingerprinter, Kept, Key, MemoryStore, TokenStore as _};

use crate::canary::Canaries;
use crate::shown::Shown;
use crate::source;

/// The types that hold no secret, each group with the reason.
const PLAIN: [(&str, &[&str]); 6] = [
    (
        "names, numbers and moments",
        &[
            "regrant::LoggedOut",
            "regrant_core::Access",
            "regrant_core::Applied",
            "regrant_core::Blocked",
            "regrant_core::Budget",
            "regrant_core::Class",
            "regrant_core::ClientAuthentication",
            "regrant_core::Edge",
            "regrant_core::Holder",
            "regrant_core::Id",
            "regrant_core::Intent",
            "regrant_core::Mark",
            "regrant_core::Next",
            "regrant_core::Origin",
            "regrant_core::Over",
            "regrant_core::Passage",
            "regrant_core::Policy",
            "regrant_core::Refresh",
            "regrant_core::RefusalKind",
            "regrant_core::Renewal",
            "regrant_core::Rotation",
            "regrant_core::StateKind",
            "regrant_core::StoreFault",
            "regrant_core::Strength",
            "regrant_core::Timestamp",
            "regrant_core::TokenId",
            "regrant_core::Verdict",
            "regrant_login::Network",
            "regrant_login::Reach",
            "regrant_reqwest::NotReplayable",
            "regrant_reqwest::RetryMark",
            "regrant_storage::Capabilities",
            "regrant_storage::Costs",
            "regrant_storage::Entry",
            "regrant_storage::Expected",
            "regrant_storage::KeySource",
            "regrant_storage::Name",
            "regrant_storage::Protection",
            "regrant_storage::Rekeyed",
            "regrant_storage::SaveFault",
            "regrant_storage::SaveOutcome",
            "regrant_storage_file::JsonEntry",
            "regrant_storage_file::JsonField",
            "regrant_storage_file::JsonMap",
            "regrant_storage_file::JsonPointer",
            "regrant_storage_file::JsonUnit",
        ],
    ),
    (
        "what is handed on, once it is decided that it may be shown; `sessions` and `logins` make it",
        &[
            "regrant_core::CoolDown",
            "regrant_core::Event",
            "regrant_core::Refusal",
            "regrant_login::Endpoint",
            "regrant_login::Endpoints",
            "regrant_login::ResourceMetadata",
            "regrant_login::ServerMetadata",
            "regrant_reqwest::Judged",
            "regrant_reqwest::Rejected",
        ],
    ),
    ("nonces are public: whoever asks the server gets one", &["regrant_core::Nonces"]),
    ("clocks", &["regrant::SystemClocks", "regrant::VirtualClocks"]),
    (
        "sealed bytes, and places of files and of locks",
        &[
            "regrant_storage::Blob",
            "regrant_storage::Faulty",
            "regrant_storage::FileLease",
            "regrant_storage::MemoryBlobStore",
            "regrant_storage::MemoryLease",
            "regrant_storage::Saved",
            "regrant_storage::Tried",
            "regrant_storage_file::FileStore",
            "regrant_storage_sqlite::SqliteStore",
        ],
    ),
    (
        "a deadline and a path: what the keychain holds is a `Key`, which is shown here",
        &[
            "regrant_storage_keyring::Auto",
            "regrant_storage_keyring::Keychain",
            "regrant_storage_keyring::KeyringStore",
        ],
    ),
];

/// The types that other tests of this folder show, since they come about in a flow.
const IN_FLOWS: [&str; 24] = [
    // sessions
    "regrant::Access",
    "regrant::Events",
    "regrant::Proof",
    "regrant::Session",
    "regrant::SessionBuilder",
    "regrant::Status",
    "regrant_reqwest::Middleware",
    "regrant_reqwest::TokenClient",
    // logins
    "regrant_login::BrowserLogin",
    "regrant_login::DeviceLogin",
    "regrant_login::Http",
    "regrant_login::HttpBuilder",
    "regrant_login::LoggedIn",
    "regrant_login::LoginRequest",
    // stores
    "regrant_storage::KeyFile",
    "regrant_storage::NewKey",
    "regrant_storage::Passphrase",
    "regrant_storage::Vault",
    "regrant_storage_file::JsonAccount",
    "regrant_storage_file::JsonCredential",
    "regrant_storage_file::JsonFile",
    "regrant_core::Challenge",
    "regrant_core::GrantInHand",
    "regrant_core::Canonical",
];

struct Values {
    canaries: Canaries,
    shown: Shown,
}

impl Values {
    fn secret(&self, what: &str) -> Secret {
        Secret::new(self.canaries.token(what))
    }

    fn client(&self) -> Client {
        let mut client = Client::new("https://as.example/token", "client");
        client.authentication = ClientAuthentication::ClientSecretBasic;
        client.client_secret = Some(Secret::new(self.canaries.phrase("client secret")));
        client
    }

    fn grant(&self) -> Grant {
        let mut grant = Grant::bearer(self.secret("access token"));
        grant.refresh_token = Some(self.secret("refresh token"));
        grant
    }

    fn login(&self) -> Login {
        Login {
            incarnation: Id([7; 16]),
            client: self.client(),
            origins: Vec::new(),
            grant: self.grant(),
            obtained_at: Timestamp::EPOCH,
        }
    }

    fn stored(&self) -> Stored {
        Stored { record: Record::login(&self.login(), None), version: Version::new(vec![1]) }
    }

    fn failure() -> Failure {
        let (cause, applied) = (Cause::NotOauth, Applied::No);
        Failure { cause, applied, retry_after: None, code: None }
    }

    fn of_messages(&self) {
        let (client, token) = (self.client(), self.secret("refresh token"));
        for request in [
            token_request(&client, Some(&token), None, None),
            revocation_request(&client, &token, "refresh_token"),
        ] {
            self.shown.value(&request);
        }
        self.shown.value(&Renewing::refresh(&client, &token));
        self.shown.value(&Assertion::new(&client, Timestamp::EPOCH));
        let body = serde_json::json!({
            "access_token": self.canaries.token("access token"),
            "refresh_token": self.canaries.token("refresh token"),
            "id_token": self.canaries.token("ID token"),
        });
        let line = format!("Bearer error=\"invalid_token\", x=\"{}\"", token.expose());
        let headers = [("WWW-Authenticate", line.as_bytes())];
        let body = body.to_string();
        let headers = &headers[..];
        let reply = TokenReply { status: 200, headers, body: body.as_bytes(), ..<_>::default() };
        self.shown.value(&reply);
        self.shown.value(&read_token_reply(&reply, None));
        let reply = ApiReply { status: 401, headers, body: body.as_bytes(), ..<_>::default() };
        self.shown.value(&reply);
        self.shown.value(&read_api_reply(&reply, None));
        // A challenge is the server's own words, and who takes it apart has asked for them.
        assert_eq!(challenges([line.as_bytes()]).len(), 1);
        self.shown.value(&Profile::of("google").unwrap());
    }

    fn of_machine(&self) {
        let mut machine = Machine::new(Policy::default(), [7; 32], Timestamp::EPOCH);
        let now = Timestamp::from_millis(1_750_000_000_000);
        let answers = [
            Answer::Granted(self.grant()),
            Answer::Unusable {
                refresh_token: self.secret("refresh token"),
                failure: Self::failure(),
            },
            Answer::NonceWanted,
            Answer::Failed(Self::failure()),
        ];
        let mut outcomes: Vec<_> = answers.into_iter().map(Outcome::Answered).collect();
        outcomes.push(Outcome::Loaded(Some(Box::new(self.stored()))));
        outcomes.push(Outcome::Mismatch(Some(Box::new(self.stored()))));
        for outcome in outcomes {
            self.shown.value(&outcome);
            self.shown.value(&Input::Done { id: 1, outcome });
        }
        self.shown.value(&Input::ConfigurationChanged(Box::new(self.client())));
        let client = Box::new(self.client());
        let refresh_token = Some(self.secret("refresh token"));
        for action in [
            Action::Ask { client: client.clone(), refresh_token, claims: None },
            Action::Revoke { client, token: self.secret("refresh token"), hint: "refresh_token" },
            Action::Save { record: Box::new(self.stored().record), over: Over::Absent },
        ] {
            self.shown.value(&action);
            self.shown.value(&Output::Act { id: 1, action, deadline: now });
        }
        let mut inputs = vec![Input::LoggedIn(Box::new(self.login()))];
        for _ in 0..8 {
            for input in inputs.drain(..) {
                self.shown.value(&input);
                machine.handle_input(input, now);
            }
            self.shown.value(&machine);
            self.shown.value(machine.view());
            loop {
                let output = machine.poll_output();
                self.shown.value(&output);
                match output {
                    Output::Act { id, action, .. } => {
                        let outcome = match action {
                            Action::Acquire => Outcome::Acquired { proves_death: true },
                            Action::Release => Outcome::Released,
                            Action::Load => Outcome::Loaded(None),
                            Action::Save { .. } => Outcome::Saved(Version::new(vec![1])),
                            Action::Ask { .. } => Outcome::Answered(Answer::Granted(self.grant())),
                            Action::Revoke { .. } => Outcome::Revoked { confirmed: false },
                        };
                        inputs.push(Input::Done { id, outcome });
                    }
                    Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
                    Output::Timeout(_) => break,
                }
            }
        }
        let origin = regrant_core::Origin::parse("https://api.example").unwrap();
        let id = TokenId { slot: 0, generation: 1 };
        let rejected = Input::Rejected { id, origin, strength: Strength::Strong, claims: None };
        machine.handle_input(rejected, now);
        self.shown.value(&machine);
        self.shown
            .value(&machine.view().access(&regrant_core::Origin::parse("https://a").unwrap()));
    }

    async fn of_records(&self) {
        let stored = self.stored();
        self.shown.value(&self.login());
        self.shown.value(&stored);
        self.shown.value(&stored.record);
        self.shown.value(&stored.record.client);
        self.shown.value(&stored.record.unknown);
        self.shown.value(&stored.record.slots[&0]);
        self.shown.value(&stored.record.slots[&0].access_token);
        self.shown.value(&stored.version);
        self.shown.value(&self.grant());
        self.shown.value(&Answer::Granted(self.grant()));
        self.shown.value(&Self::failure());
        let store = MemoryStore::new();
        let kept = store.save("default", &stored.record, &Over::Absent).await.unwrap();
        self.shown.value(&kept);
        self.shown.value(&store);
        self.shown.value(&Kept::Mismatch(Some(stored)));
        self.shown.value(&Key::new(&self.canaries.key("key")));
        self.shown.value(&Fingerprinter::unsealed(&store.capabilities()));
    }
}

#[tokio::test]
async fn sh_02_b_every_value_that_holds_a_secret() {
    let values = Values { canaries: Canaries::default(), shown: Shown::default() };
    values.of_messages();
    values.of_machine();
    values.of_records().await;
    values.canaries.assert_absent("what is shown", values.shown.all());

    let mut known = values.shown.names();
    let plain = PLAIN.iter().flat_map(|(_, names)| names.iter().copied());
    let listed: Vec<_> = plain.chain(IN_FLOWS).collect();
    let twice: Vec<_> = listed.iter().filter(|name| known.contains(**name)).collect();
    assert!(twice.is_empty(), "shown, and listed as not: {twice:?}");
    known.extend(listed.iter().map(|name| (*name).to_owned()));
    let types = source::public_types();
    // Errors have a test of their own.
    let errors = source::errors();
    let is_error = |name: &String| {
        errors.iter().any(|error| error == name || error.starts_with(&format!("{name}::")))
    };
    let new: Vec<_> =
        types.iter().filter(|name| !known.contains(*name) && !is_error(name)).collect();
    assert!(new.is_empty(), "types that nobody has looked at: {new:#?}");
    let gone: Vec<_> = listed.iter().filter(|name| !types.contains(**name)).collect();
    assert!(gone.is_empty(), "types that are no more: {gone:?}");
}

/// What a later version writes into a record may be a secret, and is kept by this one.
#[test]
fn sh_02_c_fields_of_later_versions() {
    let values = Values { canaries: Canaries::default(), shown: Shown::default() };
    let mut record = values.stored().record;
    let of_later = || serde_json::Value::from(values.canaries.token("a later version's secret"));
    record.unknown.insert("id_token".to_owned(), of_later());
    record.slots.get_mut(&0).unwrap().unknown.insert("proof_key".to_owned(), of_later());
    values.shown.value(&record.unknown);
    values.shown.value(&record);
    values.canaries.assert_absent("a record", values.shown.all());
}

/// A URL can hold a password and a key.
#[test]
fn sh_02_d_passwords_in_urls_of_a_client() {
    let values = Values { canaries: Canaries::default(), shown: Shown::default() };
    let url = || {
        let [password, key] = ["password of a URL", "key of a URL"].map(|what| -> String {
            let secret = values.canaries.token(what);
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()
        });
        format!("https://user:{password}@as.example/token?key={key}")
    };
    let mut client = values.client();
    client.token_endpoint = url();
    client.revocation_endpoint = Some(url());
    client.issuer = Some(url());
    values.shown.value(&client);
    values.canaries.assert_absent("a client", values.shown.all());
}
