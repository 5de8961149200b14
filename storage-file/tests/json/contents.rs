//! What the file looks like afterwards to those whose it is.

use std::fs;

use regrant_core::Over;
use regrant_storage::TokenStore as _;

use crate::support::*;

#[tokio::test]
async fn every_byte_that_is_no_token_is_kept() {
    let place = Place::empty();
    let odd = "\u{feff}{\r\n\t\"z\":  [1.50, 1e400, \"\\u00e9\\/\"],\"z\":0,\r\n\
        \t\"oauth\" : {\"plan\":-0.0 , \"access\" :\"foreign 1 access\",\t\"expiry\":1,\"a/b~\":null,\
        \"refresh\":\"foreign 1 refresh\" ,\"scopes\": \"read\" }\r\n,\"access\":\"not mine\"\r\n}  \n\n";
    let odd = odd.replace("\"expiry\":1,", "\"expiry\":1700000000000,");
    fs::write(&place.file, &odd).unwrap();
    let found = place.loaded().await;
    let next = login(1, Some(&found.record));
    done(save(&place.open().await, &next, &at(&found)).await);
    let expected = odd
        .replace("foreign 1", "own 1")
        .replace("1700000000000", "1700003600123")
        .replace("\"read\"", "\"read write\"");
    assert_eq!(place.text(), expected);
    assert_same(&place.loaded().await.record, &next);
}

#[tokio::test]
async fn a_new_file_is_written_as_people_write_one() {
    let place = Place::empty();
    done(save(&place.open().await, &login(1, None), &Over::Absent).await);
    let expected = "{\n  \"oauth\": {\n    \"access\": \"own 1 access\",\n    \
        \"refresh\": \"own 1 refresh\",\n    \"expiry\": 1700003600123,\n    \
        \"scopes\": \"read write\"\n  }\n}\n";
    assert_eq!(place.text(), expected);
    assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_made_with_the_first_save() {
    let mut place = Place::empty();
    place.file = place.folder.path().join("above/below/credentials.json");
    let store = place.open().await;
    assert!(store.load(ACCOUNT).await.unwrap().is_none());
    assert!(!place.folder.path().join("above").exists());
    done(save(&store, &login(1, None), &Over::Absent).await);
    assert_same(&place.loaded().await.record, &login(1, None));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[tokio::test]
    async fn cp_02_b_the_mode_of_the_file_is_kept_and_ours_are_our_own() {
        for kept in [0o600, 0o640, 0o644, 0o400] {
            let place = Place::used();
            fs::set_permissions(&place.file, fs::Permissions::from_mode(kept)).unwrap();
            let found = place.loaded().await;
            done(save(&place.open().await, &login(1, None), &at(&found)).await);
            assert_eq!(mode(&place.file), kept);
            assert_eq!(place.found()["oauth"]["access"], "own 1 access");
            for ours in [place.notes(), place.beside(".regrant.lock")] {
                assert_eq!(mode(&ours), 0o600, "{}", ours.display());
            }
        }
        let place = Place::empty();
        done(save(&place.open().await, &login(1, None), &Over::Absent).await);
        assert_eq!(mode(&place.file), 0o600, "a new file is nobody else's");
    }

    #[tokio::test]
    async fn cp_02_c_the_owner_of_the_file_is_kept() {
        if !rustix::process::geteuid().is_root() {
            crate::process::left_out("the owner is kept", "only root can give files away");
            return;
        }
        let place = Place::used();
        // Any number does; nobody needs to have it.
        chown(&place.file, Some(4_711), Some(4_712)).unwrap();
        let found = place.loaded().await;
        done(save(&place.open().await, &login(1, None), &at(&found)).await);
        for path in [place.file.clone(), place.notes()] {
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (4_711, 4_712), "{}", path.display());
        }
        assert_eq!(place.found()["oauth"]["access"], "own 1 access");
    }

    /// A link stays a link, and all its names are one store.
    #[tokio::test]
    async fn cp_02_replace_semantics() {
        let place = Place::used();
        let link = place.folder.path().join("link.json");
        symlink("credentials.json", &link).unwrap();
        let store = open(&link).await;
        assert_eq!(store.capabilities(), place.open().await.capabilities());
        let found = store.load(ACCOUNT).await.unwrap().unwrap();
        done(save(&store, &login(1, None), &at(&found)).await);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(!fs::symlink_metadata(&place.file).unwrap().is_symlink());
        assert_same(&place.loaded().await.record, &login(1, None));
        let names = ["credentials.json", "credentials.json.regrant", "link.json"];
        assert_eq!(place.names(), names);
    }

    #[tokio::test]
    async fn a_link_that_another_program_replaces_by_a_file_is_followed_no_more() {
        let place = Place::used();
        let link = place.folder.path().join("link.json");
        symlink("credentials.json", &link).unwrap();
        let store = open(&link).await;
        assert_eq!(token(&store.load(ACCOUNT).await.unwrap().unwrap().record), "foreign 1");
        let draft = place.folder.path().join("draft");
        fs::write(&draft, written("foreign 2")).unwrap();
        fs::rename(draft, &link).unwrap();
        assert_eq!(token(&store.load(ACCOUNT).await.unwrap().unwrap().record), "foreign 2");
    }
}
