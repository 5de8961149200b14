//! What people get wrong: a secret in the place of something else, and stores that are broken. The
//! error says what is wrong, and does not say the secret again.

use std::fs;

use crate::user::{User, files};

#[test]
fn sh_01_f_a_secret_in_a_wrong_place_is_not_repeated() {
    let user = User::new("");
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
    assert_eq!(user.import(&secret).code, Some(0));
    let secret = || user.canaries.token("secret of a mistake");
    // As it stands in a URL, for a slash would end the place of a password.
    let encoded = || url::form_urlencoded::byte_serialize(secret().as_bytes()).collect::<String>();
    let credential = format!("{{\"access_token\":\"{}\"}}", secret());
    let profile = user.file(&elsewhere, "profile.json", &credential);
    let (api, things) = (user.authority.origin(), user.authority.url("/things"));
    let mut lines: Vec<Vec<String>> = [
        format!("status --store postgres://u:{}@h/d", encoded()),
        format!("status --store redis://:{}@h", encoded()),
        format!("status --key passphrase:{}", secret()),
        format!("status --key passphrase-fd:{}", secret()),
        format!("profiles {profile}"),
        format!(
            "login --profile {profile} --token-endpoint {things} --client-id c --api {api} --device"
        ),
        format!("key rekey --to passphrase:{}", secret()),
        format!("allow https://u:{}@api.example", encoded()),
        format!("call https://u:{}@other.example/?t={}", encoded(), encoded()),
        format!("login --issuer https://u:{}@as.example --client-id c --api {api}", encoded()),
        format!(
            "import --token-endpoint https://u:{}@a.example --client-id c --api {api}",
            encoded()
        ),
        format!("client set --token-endpoint https://u:{}@as.example/?k={}", encoded(), encoded()),
        "classify --batch".to_owned(),
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect();
    for header in [format!("X-Key {}", secret()), format!("X Key: {}", secret())] {
        lines.push(vec!["call".to_owned(), things.clone(), "-H".to_owned(), header]);
    }
    // Nobody's fingerprint: the answer is the token.
    user.run_for(&["token", "--rejected", &secret()], "", &["access token"]);
    let input = format!("{{\"access_token\":[\"{}\"]}}\n{}", secret(), secret());
    for line in lines {
        for json in [None, Some("--json")] {
            let arguments: Vec<_> = line.iter().map(String::as_str).chain(json).collect();
            let ran = user.run(&arguments, &input);
            assert_ne!(ran.code, Some(0), "no mistake: {arguments:?}");
        }
    }
}

/// What is sealed lies there in the clear, or is cut, or the key is another.
#[test]
fn sh_01_g_broken_stores() {
    for store in ["sqlite:HOME/data/credentials.db", "file:HOME/data/credentials"] {
        let user = User::new(store);
        let elsewhere = tempfile::tempdir().unwrap();
        let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
        assert_eq!(user.import(&secret).code, Some(0));
        let url = user.authority.url("/things");
        let whole: Vec<_> = files(user.home())
            .into_iter()
            .map(|file| (fs::read(&file).unwrap(), file))
            .filter(|(bytes, _)| !bytes.is_empty())
            .collect();
        assert!(whole.len() >= 2, "a store and a key: {whole:?}");
        for (bytes, file) in &whole {
            let clear = user.canaries.token("text in a store");
            let mut middle = bytes.clone();
            let at = bytes.len() / 2;
            middle.splice(at.., clear.bytes());
            for damaged in [clear.as_bytes(), &bytes[..at], &middle] {
                fs::write(file, damaged).unwrap();
                for arguments in [&["call", &url, "--json"][..], &["doctor", "--offline"]] {
                    user.run(arguments, "");
                }
            }
            fs::write(file, bytes).unwrap();
        }
        assert_eq!(user.run(&["status"], "").code, Some(0));
    }
}
