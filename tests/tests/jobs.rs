//! Jobs: submitted once, begun later, in a fair order, and telling how far they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::server::Server;

fn submit(server: &Server, arguments: Value) -> (bool, Value, String) {
    server.tool("asyncExecuteCode", arguments)
}

fn uuid(answer: &Value) -> String {
    answer["execution_uuid"].as_str().unwrap().to_owned()
}

/// Seen to fail without the entry in `Table::Keys`.
#[test]
fn the_same_submission_with_the_same_key_is_one_execution_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let job = |key: &str, script: &str| json!({ "script": script, "idempotency_key": key });
    let (_, first, _) = submit(&server, job("a", "import uuid; str(uuid.uuid4())"));
    let result = server.wait(&uuid(&first))["result"].clone();
    for restart in [false, true] {
        if restart {
            // The end is on the disk within a tenth of a second.
            std::thread::sleep(Duration::from_millis(500));
            server.kill();
            server = Server::start_in(folder.path(), &[]);
        }
        let (_, again, _) = submit(&server, job("a", "import uuid; str(uuid.uuid4())"));
        assert_eq!((&again["execution_uuid"], &again["status"]), (&first["execution_uuid"], &json!("completed")));
        assert_eq!(server.wait(&uuid(&again))["result"], result);
    }
    let (_, other, _) = submit(&server, job("b", "import uuid; str(uuid.uuid4())"));
    assert_ne!(other["execution_uuid"], first["execution_uuid"]);
    let (failed, _, text) = submit(&server, job("a", "2"));
    assert!(failed);
    let id = uuid(&first);
    let expected = format!("`idempotency_key` `a` was used for other arguments, by execution `{id}`: give another key");
    assert_eq!(text, expected);
    let (status, answer) = server.post("/v1/executions", &job("a", "import uuid; str(uuid.uuid4())"), &[]);
    assert_eq!((status, &answer["execution_uuid"]), (200, &first["execution_uuid"]));
}

#[test]
fn of_many_submissions_with_one_key_at_once_one_runs() {
    let server = Server::start();
    let job = json!({ "script": "1", "idempotency_key": "one" });
    let ids: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..16).map(|_| scope.spawn(|| submit(&server, job.clone()).1)).collect();
        asked.into_iter().map(|asked| uuid(&asked.join().unwrap())).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(server.tool("listCodeExecs", json!({})).1["executions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_job_begins_when_it_is_to_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let at = now() + 1.5;
    let (_, soon, text) = submit(&server, json!({ "script": "import time; time.time()", "run_at": at }));
    assert_eq!(soon["status"], "pending", "{text}");
    let (_, later, _) = submit(&server, json!({ "script": "1", "run_at": "2199-01-01T00:00:00Z" }));
    server.kill();
    let server = Server::start_in(folder.path(), &[]);
    let began = server.wait(&uuid(&soon))["result"].as_f64().unwrap();
    assert!(began >= at, "{began} {at}");
    assert_eq!(
        server.tool("cancelCodeExec", json!({ "execution_uuid": later["execution_uuid"] })).1["status"],
        "cancelled"
    );
    let (failed, _, text) = submit(&server, json!({ "script": "1", "run_at": "tomorrow" }));
    assert!(failed && text.starts_with("`run_at` is \"tomorrow\": give a time in UTC such as"), "{text}");
    let (failed, _, text) = server.tool("executeCode", json!({ "script": "1", "run_at": 1 }));
    assert_eq!((failed, text.as_str()), (true, "`run_at` is for jobs: give it to asyncExecuteCode"));
}

#[test]
fn the_more_urgent_begins_first() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("exuvia.toml"), "[executions]\nat_once = 1\n").unwrap();
    let config = folder.path().join("exuvia.toml");
    let server = Server::start_in(folder.path(), &["--config", config.to_str().unwrap()]);
    let first = server.submit("import time; time.sleep(0.5)");
    let job = |priority: &str| submit(&server, json!({ "script": "import time; time.time()", "priority": priority })).1;
    let jobs = ["low", "normal", "high"].map(|priority| uuid(&job(priority)));
    server.wait(&first);
    let [low, normal, high] = jobs.map(|job| server.wait(&job)["result"].as_f64().unwrap());
    assert!(high < normal && normal < low, "{high} {normal} {low}");
}

#[test]
fn a_program_says_how_far_it_is() {
    let server = Server::start();
    let job = server.submit("import time\nexuvia_progress(0.25, 'loading')\ntime.sleep(1000)");
    let asked = json!({ "execution_uuid": job });
    while server.tool("checkCodeExecStatus", asked.clone()).1["progress"]
        != json!({ "fraction": 0.25, "step": "loading" })
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.tool("cancelCodeExec", asked.clone());
    assert!(server.tool("checkCodeExecStatus", asked).1["progress"].is_null());
    let script = "errors = []\nfor wrong in (2, -1, float('nan'), 'x'):\n    try: exuvia_progress(wrong)\n    except ValueError as error: errors.append(str(error))\nerrors";
    let errors = &server.execute(script)["result"];
    assert_eq!(errors[0], "the fraction is 2.0: give a number from 0 to 1", "{errors}");
    assert_eq!(errors.as_array().unwrap().len(), 4);
}
