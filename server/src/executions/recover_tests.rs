use super::*;
use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::config::Config;
use crate::egress::Egress;
use crate::executions::journals::Pages;
use crate::executions::sleepers::Bed;
use crate::executions::{Answer, Answering, Caller, Id, Keep, Parts, Request, Tools};
use crate::gate::{Gate, Pins, Policies};
use crate::grants::Grants;
use crate::packages::{Kept, Packages};
use crate::secrets::Secrets;
use crate::sessions::Sessions;
use crate::shelf::Shelf;
use crate::store::{Batch, Files, Sled, Store, Table};
use crate::upstream::Sealed;
use exuvia_runtime::{Cache, Sandbox, Silent, Spill, Witness};
use serde_json::{Map, Value};
use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Keeps a test from hanging. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// There are none.
struct NoTools;

impl Tools for NoTools {
    fn call(&self, _: &Caller, _: String, _: Vec<Value>, _: Map<String, Value>, _: Witness) -> Answering {
        Box::pin(async { Answer::Value(Value::Null) })
    }

    fn describe(&self, _: &Caller, _: String) -> Answering {
        Box::pin(async { Answer::Value(Value::Null) })
    }
}

fn open(folder: &Path) -> (Arc<dyn Store>, Keep) {
    let store: Arc<dyn Store> = Arc::new(Sled::open(&folder.join("store")).unwrap());
    (Arc::clone(&store), Keep::new(store, Files::new(folder.join("files"))))
}

/// A server's executions on the data in `folder`.
fn start(folder: &Path, parts: (Arc<dyn Store>, Keep)) -> Executor {
    start_with(&Cache::of_user().unwrap(), folder, parts)
}

fn start_with(cache: &Cache, folder: &Path, parts: (Arc<dyn Store>, Keep)) -> Executor {
    tried(cache, folder, parts).unwrap()
}

fn tried(cache: &Cache, folder: &Path, (store, keep): (Arc<dyn Store>, Keep)) -> Result<Executor, Error> {
    let policies = Policies::open(None, Arc::new(Grants::at(folder.join("grants.json")))).unwrap();
    let audit = Audit::open(&folder.join("audit")).unwrap();
    let approvals = Approvals::open(&store, &folder.join("approvals.key"), None).unwrap();
    let gate = Gate::open(policies, &store, Pins::at(folder.join("pins.json")), audit, Arc::new(approvals)).unwrap();
    let spill = Spill::temporary(1 << 30);
    let config =
        exuvia_runtime::Config { slots: 10, spill: Some(spill.clone()), ..exuvia_runtime::Config::new(cache.clone()) };
    let own = Arc::new(Sandbox::open(&config, &Silent).unwrap());
    let sandboxes = Sandboxes::new(Arc::clone(&own), config, Kept::new(cache, folder));
    let config = Config::default();
    let packages = Packages::new(cache, own, None, config.package_settings());
    let sessions = Sessions::open(Arc::clone(&store), folder.join("sessions"), config.session_settings()).unwrap();
    let shelf = Shelf::open(store, folder.join("shelf"), config.shelf_settings()).unwrap();
    let (tools, gate) = (Arc::new(NoTools), Arc::new(gate));
    let egress = Arc::new(Egress::new(Arc::clone(&gate), config.egress_settings()).unwrap());
    let secrets = Arc::new(Secrets::open(folder, Arc::new(Sealed::open(folder).unwrap())).unwrap());
    let parts = Parts { sandboxes, packages, spill, keep, tools, egress, gate, secrets, sessions, shelf };
    Executor::start(parts, config.settings())
}

fn record(image: &str) -> (Record, Request) {
    let request = Request { script: "import time\ntime.sleep(600)".into(), ..Request::default() };
    let mut record = Record::new("local", &request);
    record.state = State::Running;
    record.started = Some(1);
    record.image = Some(image.to_owned());
    (record, request)
}

async fn failed(executor: &Executor, id: Id) -> (String, String) {
    if let Some(live) = executor.live(id) {
        live.left_within(PATIENCE).await;
    }
    let status = executor.status("local", id, crate::executions::Cursor::default()).unwrap().unwrap();
    assert_eq!(status.summary.status, State::Failed);
    let error = status.error.unwrap();
    (error.kind, error.message)
}

/// One that runs, and one that sleeps until `due`, both begun in the image `another`.
fn begun(keep: &Keep, script: &str, due: u64) -> [Id; 2] {
    let (running, mut request) = record("another");
    request.script = script.into();
    keep.begin(&running, &request).unwrap();
    let (sleeping, _) = record("another");
    keep.begin(&sleeping, &request).unwrap();
    let image = sleeping.image.clone();
    let bed = Bed { grant: "local".into(), image, since: now(), due, deadline: None, took: 0, counted: 0 };
    keep.sleeps(&sleeping, &Given { stdout: "begun\n".into(), ..Given::default() }, &bed).unwrap();
    [running.id, sleeping.id]
}

/// Seen to fail with this server's sandbox for every image: then the one is replayed, and the other sleeps. And with what was shown left out.
#[tokio::test(flavor = "multi_thread")]
async fn what_began_with_another_image_is_given_up_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (store, keep) = open(folder.path());
    let begun = begun(&keep, "import time\ntime.sleep(600)", now() + 600_000);
    let executor = start(folder.path(), (store, keep));
    for id in begun {
        let (kind, message) = failed(&executor, id).await;
        assert_eq!((kind.as_str(), message.as_str()), ("Interrupted", OTHER_IMAGE));
        assert!(!executor.holds(id));
    }
    // What the sleeper had shown.
    let status = executor.status("local", begun[1], crate::executions::Cursor::default()).unwrap().unwrap();
    assert_eq!(status.stdout, "begun\n");
}

/// The user's cache, where this server's image is, with that once more as the one called `another`. As there is room for it there.
fn with_another() -> (tempfile::TempDir, Cache) {
    let user = Cache::of_user().unwrap();
    // It may be the first that needs it.
    drop(
        Sandbox::open(&exuvia_runtime::Config { slots: 1, ..exuvia_runtime::Config::new(user.clone()) }, &Silent)
            .unwrap(),
    );
    let folder = tempfile::tempdir_in(user.folder().parent().unwrap()).unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let from = Sandbox::entry(&user, exuvia_python::IMAGE.digest).unwrap();
    for digest in ["another", exuvia_python::IMAGE.digest] {
        let to = Sandbox::entry(&cache, digest).unwrap();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to.folder()).unwrap();
        for file in std::fs::read_dir(from.folder()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), to.folder().join(file.file_name())).unwrap();
        }
    }
    (folder, cache)
}

/// What is only in the way costs no job: the server does not start before it is mended. Seen to fail with every error taken for an image that is
/// not there.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_opened_is_not_one_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (_caches, cache) = with_another();
    let another = Sandbox::entry(&cache, "another").unwrap();
    let mode = |mode| std::fs::set_permissions(another.folder(), Permissions::from_mode(mode)).unwrap();
    let (store, keep) = open(folder.path());
    let [running, sleeping] = begun(&keep, "import time\ntime.sleep(600)", now() + 600_000);
    mode(0o777);
    let failed = tried(&cache, folder.path(), (Arc::clone(&store), keep.clone())).err().unwrap();
    let said = crate::cli::chain(&failed);
    assert!(
        said.contains("the image another that executions began in: ")
            && said.contains("others can write to the cache folder"),
        "{said}"
    );
    assert!([running, sleeping].iter().all(|id| keep.record(*id).unwrap().unwrap().state == State::Running));
    mode(0o700);
    let executor = start_with(&cache, folder.path(), (store, keep));
    assert!(executor.holds(running) && executor.holds(sleeping));
}

/// Seen to fail with an image that is kept only while it is this server's own, and with one that is never removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_kept_until_no_execution_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_caches, cache) = with_another();
    let another = Sandbox::entry(&cache, "another").unwrap();
    let (store, keep) = open(folder.path());
    let begun = begun(&keep, "import sys\n'begun' in sys.modules", now());
    let executor = start_with(&cache, folder.path(), (Arc::clone(&store), keep.clone()));
    // What `exuvia image remove` and another server's start find.
    assert_eq!(crate::packages::kept::keepers(&cache, "another"), [folder.path().canonicalize().unwrap()]);
    for id in begun {
        let live = executor.attend("local", id).unwrap();
        if let Some(live) = live {
            live.left_within(PATIENCE).await;
        }
        let status = executor.status("local", id, crate::executions::Cursor::default()).unwrap().unwrap();
        assert_eq!(status.summary.status, State::Completed, "{:?}", status.error);
    }
    executor.written().await;
    drop(executor);
    assert!(another.folder().exists());
    start_with(&cache, folder.path(), (store, keep));
    assert!(!another.folder().exists());
}

/// Seen to fail with a sleeper taken from its bed before all of it has been read: then nobody wakes it any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_that_cannot_be_read_sleeps_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, keep) = open(folder.path());
    let (sleeping, request) = record(exuvia_python::IMAGE.digest);
    keep.begin(&sleeping, &request).unwrap();
    let (id, image) = (sleeping.id, sleeping.image.clone());
    let bed =
        Bed { grant: "local".into(), image, since: now(), due: now() + 600_000, deadline: None, took: 0, counted: 0 };
    keep.sleeps(&sleeping, &Given::default(), &bed).unwrap();
    let executor = start(folder.path(), (Arc::clone(&store), keep));
    let write = |bytes: &[u8]| {
        let mut batch = Batch::default();
        batch.put(Table::Requests, id.as_bytes(), bytes);
        store.apply(batch).unwrap();
    };
    let whole = store.get(Table::Requests, id.as_bytes()).unwrap().unwrap();
    write(b"{");
    assert!(matches!(executor.attend("local", id), Err(crate::store::Error::Record { .. })));
    assert!(executor.holds(id));
    write(&whole);
    assert!(executor.attend("local", id).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_whose_last_part_is_damaged_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    let (store, keep) = open(folder.path());
    let (record, request) = record(exuvia_python::IMAGE.digest);
    keep.begin(&record, &request).unwrap();
    // Another life, and a sleep that breaks off.
    let parts = vec![vec![11, 5], vec![2, 0x80]];
    keep.write_journals(&[Pages { id: record.id, first: 0, before: 0, parts, large: Vec::new() }]).unwrap();
    let executor = start(folder.path(), (store, keep));
    let (kind, message) = failed(&executor, record.id).await;
    assert_eq!(kind, "JournalDamaged");
    assert_eq!(message, "the record of this run cannot be read: part 1 of it makes no sense");
}
