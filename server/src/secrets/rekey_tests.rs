//! The key changed, and cut off in the middle at every place.

use super::*;
use crate::secrets::{Secrets, Value};
use crate::upstream::{Registered, address, replace};
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;

const VALUES: [(&str, &str); 2] = [("ONE", "the first value"), ("TWO", "the second value")];

/// A folder with secrets, a server that was added, and the tokens of one; and what a server that runs has of it.
fn place() -> (TempDir, Arc<Sealed>, Secrets) {
    let folder = tempfile::tempdir().unwrap();
    let sealed = Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap());
    let secrets = Secrets::open(folder.path(), Arc::clone(&sealed)).unwrap();
    for (name, value) in VALUES {
        secrets.vault.set(name, &Value::new(value.into()).unwrap()).unwrap();
    }
    let (registry, _) = Registry::open(folder.path(), Arc::clone(&sealed)).unwrap();
    let url = address("https://example.org/mcp?key=topsecret").unwrap();
    registry.put(Registered { name: "s".into(), url, headers: BTreeMap::new() }).unwrap();
    drop(upstream::Vault::open(folder.path(), Arc::clone(&sealed)).unwrap());
    let tokens = sealed.seal("token s", b"tokens").unwrap();
    fs::write(folder.path().join("tokens/s"), tokens).unwrap();
    (folder, sealed, secrets)
}

/// All that is in the folder opens with `sealed`.
fn opens(folder: &Path, sealed: &Arc<Sealed>, secrets: &Secrets, when: &str) {
    for (name, value) in VALUES {
        assert_eq!(secrets.vault.get(name).unwrap().unwrap().expose(), value, "{when}");
    }
    let (registry, lost) = Registry::open(folder, Arc::clone(sealed)).unwrap();
    assert_eq!((registry.all().len(), lost.len()), (1, 0), "{when}");
    let tokens = fs::read_to_string(folder.join("tokens/s")).unwrap();
    assert_eq!(sealed.unseal("token s", &tokens).unwrap(), b"tokens", "{when}");
}

fn reopened(folder: &Path) -> (Arc<Sealed>, Secrets) {
    let sealed = Arc::new(Sealed::of_file(&folder.join("key")).unwrap());
    let secrets = Secrets::open(folder, Arc::clone(&sealed)).unwrap();
    (sealed, secrets)
}

/// Seen to fail with the old key left beside the new one, with a server that does not look at the file again, with the servers or the tokens left
/// out, with other placeholders, and with a wrong key noticed only on the way.
#[test]
fn everything_is_sealed_with_the_new_key_and_nothing_opens_with_the_old_one() {
    let (folder, running, secrets) = place();
    let path = folder.path().join("key");
    let (old, id) = (fs::read_to_string(&path).unwrap(), crate::executions::Id::new());
    let placeholder = |secrets: &Secrets| {
        let made = secrets.placeholders(crate::secrets::Scope::Execution(id), &["ONE".into()]);
        made["ONE"].get().to_owned()
    };
    let before = placeholder(&secrets);
    let done = rekey(folder.path(), &running, NewKey::Fresh, &mut replace).unwrap();
    assert_eq!(done, Rekeyed { secrets: 2, others: 2 });
    opens(folder.path(), &running, &secrets, "while it runs");
    let (sealed, secrets) = reopened(folder.path());
    opens(folder.path(), &sealed, &secrets, "after a restart");
    // A job that goes on has the placeholders that it had.
    assert_eq!(placeholder(&secrets), before);
    let new = fs::read_to_string(&path).unwrap();
    assert_eq!((new.lines().count(), sealed.keys()), (1, 1));
    fs::write(&path, &old).unwrap();
    let wrong = Arc::new(Sealed::of_file(&path).unwrap());
    let error = rekey(folder.path(), &wrong, NewKey::Fresh, &mut replace).unwrap_err();
    assert!(matches!(error, Error::Secrets(vault::Error::OtherKey { .. })), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), old, "nothing is changed");
    assert!(wrong.unseal("token s", &fs::read_to_string(folder.path().join("tokens/s")).unwrap()).is_err());
}

#[test]
fn a_new_key_is_one_that_is_given() {
    let (folder, sealed, secrets) = place();
    let given = |text: &str| rekey(folder.path(), &sealed, NewKey::Given(text.into()), &mut replace);
    assert!(matches!(given("no key"), Err(Error::Sealed(SealedError::Key(_)))));
    let (one, two) = (Sealed::new_key().unwrap(), Sealed::new_key().unwrap());
    assert!(matches!(given(&format!("{one}\n{two}")), Err(Error::Sealed(SealedError::Key(_)))));
    assert_eq!(given(&format!("{one}\n")).unwrap().secrets, 2);
    assert_eq!(fs::read_to_string(folder.path().join("key")).unwrap(), format!("{one}\n"));
    assert!(matches!(given(&one), Err(Error::Same)));
    opens(folder.path(), &sealed, &secrets, "with the one that was given");
}

/// A process that dies before or after any of the files is written leaves a folder in which all opens, for a server that runs and for
/// one that starts, and in which the next attempt does the whole. Seen to fail with the old key gone at once.
#[test]
fn wherever_it_is_cut_off_everything_opens() {
    let mut cuts = 0;
    for cut in 0.. {
        let (folder, running, secrets) = place();
        let mut left = cut;
        let mut cut_off = |path: &Path, bytes: &[u8]| {
            // Each file is a place before it and one behind it.
            for step in 0..2 {
                if left == 0 {
                    return Err(io::Error::other("died"));
                }
                left -= 1;
                if step == 0 {
                    replace(path, bytes)?;
                }
            }
            Ok(())
        };
        let done = rekey(folder.path(), &running, NewKey::Fresh, &mut cut_off);
        let when = format!("cut off at {cut}");
        opens(folder.path(), &running, &secrets, &when);
        let (sealed, again) = reopened(folder.path());
        opens(folder.path(), &sealed, &again, &when);
        // What is set then is there, too.
        again.vault.set("THREE", &Value::new("the third value".into()).unwrap()).unwrap();
        assert_eq!(secrets.vault.get("THREE").unwrap().unwrap().expose(), "the third value", "{when}");
        if done.is_ok() {
            cuts = cut;
            break;
        }
        rekey(folder.path(), &sealed, NewKey::Fresh, &mut replace).unwrap();
        let (sealed, again) = reopened(folder.path());
        opens(folder.path(), &sealed, &again, &when);
        assert_eq!(sealed.keys(), 1, "{when}");
    }
    // The key twice, the secrets, the servers, the tokens.
    assert_eq!(cuts, 10);
}

/// Seen to fail with what was left not removed, and with tokens that are all taken for text.
#[test]
fn what_an_attempt_left_goes_and_what_is_no_token_is_in_nobodys_way() {
    let (folder, running, secrets) = place();
    let left = folder.path().join(".key.0123456789abcdef");
    fs::write(&left, "a key").unwrap();
    let other = folder.path().join(".key.0123456789abcde");
    fs::write(&other, "no key").unwrap();
    fs::create_dir(folder.path().join("tokens/folder")).unwrap();
    fs::write(folder.path().join("tokens/bytes"), [0xff, 0xfe]).unwrap();
    rekey(folder.path(), &running, NewKey::Fresh, &mut replace).unwrap();
    assert!(!left.exists() && other.exists());
    opens(folder.path(), &running, &secrets, "after it");
}

/// Seen to fail with what is sealed looked at only once there are two keys.
#[test]
fn what_cannot_be_read_is_known_before_the_key_is_touched() {
    let (folder, running, _) = place();
    let key = || fs::read_to_string(folder.path().join("key")).unwrap();
    let before = key();
    fs::write(folder.path().join("servers.json"), "{").unwrap();
    let failed = rekey(folder.path(), &running, NewKey::Fresh, &mut replace).unwrap_err();
    assert!(matches!(failed, Error::Servers(upstream::RegistryError::Damaged { .. })), "{failed}");
    assert_eq!(key(), before);
}
