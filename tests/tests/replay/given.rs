//! Replays of what was given more than a script: files, large files of its own, packages, secrets.

use super::support::counts::Counts;
use super::support::leaks;
use super::support::packages::{Place, with};
use super::support::server::Server;
use super::support::{Ran, binary};
use super::{ask, exuvia, file, shown};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const SAME: (Option<i32>, &str) = (Some(0), "exuvia: the same as recorded\n");

fn said(ran: &Ran) -> (Option<i32>, &str) {
    (ran.status, ran.stderr.as_str())
}

fn submit(server: &Server, arguments: Value) -> String {
    let (failed, answer, text) = server.tool("asyncExecuteCode", arguments);
    assert!(!failed, "{text}");
    answer["execution_uuid"].as_str().unwrap().to_owned()
}

/// Reads what it is given, and changes its own copy; what it asks for depends on it.
const READS: &str = "\
rows = open('in/rows.csv').read()
open('in/rows.csv', 'a').write('more')
print(mcp_Counts_put(key='f/' + rows), open('in/rows.csv').read())";

/// Seen to fail with the hash of a file not looked at: one that was changed is replayed, and said to differ.
#[test]
fn a_file_is_the_very_same_or_it_is_named() {
    let mut counts = Counts::start("");
    let input = counts.server.give("rows.csv", b"a,b").1;
    let files = json!([{ "id": input["id"], "name": "in/rows.csv" }]);
    let uuid = submit(&counts.server, json!({ "script": READS, "files": files }));
    assert_eq!(counts.server.wait(&uuid)["stdout"], "a,b a,bmore\n");
    let ran = ask(&counts, &["replay", &uuid]);
    assert_eq!((said(&ran), ran.stdout.as_str()), (SAME, "a,b a,bmore\n"));
    // Another script has it, too.
    let other = file(&counts, "other.py", "len(open('in/rows.csv').read())");
    let ran = ask(&counts, &["replay", &uuid, "--script", shown(&other)]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "3\n"), "{}", ran.stderr);
    let data = shown(&counts.server.data).to_owned();
    counts.server.stop();
    assert_eq!(said(&exuvia(None, &["replay", &uuid, "--data", &data])), SAME);
    counts.start_again();

    // The grant has removed it since.
    let id = input["id"].as_str().unwrap();
    assert_eq!(counts.server.delete(&format!("/v1/files/{id}")).0, 200);
    let hash = input["hash"].as_str().unwrap();
    let gone = |why: &str| {
        format!(
            "exuvia: it was given the file `in/rows.csv` (BLAKE3 {hash}), which cannot be had: {why}. If you have it, give it with \
             `--file PATH=in/rows.csv`\n"
        )
    };
    let ran = ask(&counts, &["replay", &uuid]);
    let why = format!("execution `{uuid}` was given no file `{id}`, or that is not kept any more, or it is not yours");
    assert_eq!(said(&ran), (Some(64), gone(&why).as_str()));
    let own = file(&counts, "own.csv", "a,b");
    let own = format!("{}=in/rows.csv", shown(&own));
    assert_eq!(said(&ask(&counts, &["replay", &uuid, "--file", &own])), SAME);
    let other = file(&counts, "other.csv", "a,c");
    let ran = ask(&counts, &["replay", &uuid, "--file", &format!("{}=in/rows.csv", shown(&other))]);
    let changed = counts.server.give("other.csv", b"a,c").1["hash"].as_str().unwrap().to_owned();
    let differs = format!(
        "exuvia: the file `in/rows.csv` is not the one that it was given: that has the BLAKE3 hash {hash}, this {changed}\n"
    );
    assert_eq!(said(&ran), (Some(64), differs.as_str()));
    let ran = ask(&counts, &["replay", &uuid, "--file", &own, "--file", shown(&other)]);
    assert_eq!(said(&ran), (Some(64), "exuvia: it was given no file `other.csv`\n"));
    counts.server.stop();
    let ran = exuvia(None, &["replay", &uuid, "--data", &data]);
    assert_eq!(said(&ran), (Some(64), gone("it is not kept any more").as_str()));
    assert_eq!(counts.calls().len(), 1);
}

/// It is lent to an execution until that is over. Seen to fail without the look at what is lent.
#[test]
fn a_file_that_was_removed_is_there_for_what_still_runs_and_for_nobody_else() {
    let mut counts = Counts::start("");
    let id = counts.server.give("rows.csv", b"a,b").1["id"].as_str().unwrap().to_owned();
    let script = "import time\nprint(open('rows.csv').read(), flush=True)\nmcp_Counts_put(key='l/1')\ntime.sleep(1000)";
    let uuid = submit(&counts.server, json!({ "script": script, "files": [id] }));
    while counts.calls().is_empty() {}
    assert_eq!(counts.server.delete(&format!("/v1/files/{id}")).0, 200);
    let mut ran = ask(&counts, &["replay", &uuid, "--until", "2"]);
    while ran.status == Some(1) {
        // The last few milliseconds may not be written.
        ran = ask(&counts, &["replay", &uuid, "--until", "2"]);
    }
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "a,b\n"), "{}", ran.stderr);
    let way = format!("/v1/executions/{uuid}/given/{id}");
    assert_eq!(counts.server.bytes(&way, &[]).2, b"a,b");
    let policy = counts.folder.path().join("policy.json");
    let arguments = ["grants", "create", "bob", "--policy", shown(&policy), "--data", shown(&counts.server.data)];
    let made = exuvia(None, &arguments);
    let key = made.stdout.lines().map(str::trim).find(|line| line.starts_with("exv_")).unwrap().to_owned();
    let refused = counts.server.with_key(Some(&key)).get(&way);
    let why = format!("execution `{uuid}` was given no file `{id}`, or that is not kept any more, or it is not yours");
    assert_eq!(refused, (404, json!({ "error": why })));
}

/// Seen to fail with the limit left out of the record: the replay has a larger disk, and differs.
#[test]
fn a_disk_that_was_full_is_full_again() {
    let counts = Counts::start("[files]\ndisk_per_execution = \"3MB\"\n");
    let script = "\
written = 0
try:
    with open('/tmp/large', 'wb') as file:
        for n in range(8):
            written += file.write(bytes(2**20))
            file.flush()
except OSError as error:
    print(error.errno)
written";
    let uuid = submit(&counts.server, json!({ "script": script }));
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["stdout"], &status["result"]), (&json!("51\n"), &json!(2 << 20)), "{status}");
    assert_eq!(said(&ask(&counts, &["replay", &uuid])), SAME);
}

#[test]
fn packages_are_the_very_same_or_they_are_named() {
    let place = Place::new();
    let mut server = place.serve();
    let script = "import greet\nfrom importlib.metadata import version\n[greet.greet('you'), version('greet')]";
    let uuid = submit(&server, with(&["greet"], script));
    assert_eq!(server.wait(&uuid)["result"], json!(["hello you", "1.2"]));
    let asked = place.calls();
    let replay = |url: &str| place.exuvia(&["replay", &uuid, "--url", url], "1");
    let ran = replay(&server.url);
    assert_eq!((said(&ran), ran.stdout.as_str()), (SAME, "[\"hello you\", \"1.2\"]\n"));
    // They are gone, or were never there, and nobody is asked for them. Where they are not known, the server says which they are.
    let gone = |of: &Place| {
        format!(
            "exuvia: it ran with packages which are not in `{}` any more: greet==1.2, words==1.0. A replay fetches nothing; `exuvia run \
             --with greet==1.2 --with words==1.0 FILE` with any program does\n",
            of.path("cache/layers").display()
        )
    };
    let elsewhere = Place::new();
    let ran = elsewhere.exuvia(&["replay", &uuid, "--url", &server.url], "1");
    assert_eq!(said(&ran), (Some(64), gone(&elsewhere).as_str()));
    fs::remove_dir_all(&place.layers()[0]).unwrap();
    assert_eq!(said(&replay(&server.url)), (Some(64), gone(&place).as_str()));
    fs::remove_dir_all(place.path("cache/packages/locks")).unwrap();
    let ran = replay(&server.url);
    assert!(ran.stderr.ends_with("and which those were is not known\n"), "{}", ran.stderr);
    assert_eq!((place.calls(), place.layers().len()), (asked, 0));
    // As it says.
    let with = ["run", "script.py", "--with", "greet==1.2", "--with", "words==1.0"];
    assert_eq!(place.exuvia(&with, "1").status, Some(0));
    assert_eq!(said(&replay(&server.url)), SAME);
    server.stop();
    assert_eq!(said(&place.exuvia(&["replay", &uuid, "--data", "data"], "1")), SAME);
}

/// Seen to fail with the key not compared with that of the secrets (another is taken, and the run differs), and with revealed
/// secrets not refused (a placeholder is computed with, and the run differs).
#[test]
fn secrets_have_their_placeholders_or_it_says_what_is_missing() {
    let mut place = leaks::Place::start();
    let script = "\
import hashlib, httpx
print(KEY[:4], hashlib.sha256(KEY.encode()).hexdigest())
httpx.post(GOOD + '/say', headers={'authorization': f'Bearer {KEY}'}, content='hello').status_code";
    let job = |name: &str, script: &str| {
        let arguments =
            json!({ "script": script, "required_secrets": [name], "input_vars": { "GOOD": place.reached.good.url } });
        let uuid = submit(&place.server, arguments);
        assert_eq!(place.server.wait(&uuid)["status"], "completed");
        uuid
    };
    let uuid = job("KEY", script);
    let revealed = job("HMAC", "import hashlib\nhashlib.sha256(HMAC.encode()).hexdigest()");
    assert!(!place.reached.good.take().is_empty());
    let url = place.server.url.clone();
    assert_eq!(said(&exuvia(Some(&url), &["replay", &uuid])), SAME);
    let never = "exuvia: it had the value of the secret `HMAC` itself (`reveal` of its policy), which is not kept with an execution: no \
                 replay has it\n";
    assert_eq!(said(&exuvia(Some(&url), &["replay", &revealed])), (Some(64), never));

    place.server.stop();
    let data = shown(&place.server.data).to_owned();
    let of_data = |uuid: &str, key: Option<&str>| -> Ran {
        let mut command = Command::new(binary());
        command
            .args(["replay", uuid, "--data", &data])
            .env_remove("EXUVIA_KEY")
            .envs(key.map(|key| ("EXUVIA_KEY", key)));
        command.output().unwrap().into()
    };
    assert_eq!(said(&of_data(&uuid, None)), SAME);
    assert_eq!(said(&of_data(&revealed, None)), (Some(64), never));
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let ran = of_data(&uuid, Some(other));
    assert_eq!(ran.status, Some(64));
    assert!(ran.stderr.contains("were sealed with another key than EXUVIA_KEY"), "{}", ran.stderr);
    // Without the key, and with it in the environment.
    let file = place.server.data.join("key");
    let key = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let missing = "exuvia: what stood for its secret `KEY` is derived from the key of its server, which is not there: give that in \
                   `EXUVIA_KEY`, or put the file `key` back into the data folder\n";
    assert_eq!(said(&of_data(&uuid, None)), (Some(64), missing));
    assert!(!file.exists());
    assert_eq!(said(&of_data(&uuid, Some(key.trim()))), SAME);
    assert_eq!(place.reached.good.take(), b"");
}
