//! Packages beside those that are built in, as a client meets them: what each refusal says, that a second use asks nobody, and that
//! what had begun goes on with the very same ones. `uv-for-tests` stands for `uv`; `tests/interop/packages.py` has the real one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use support::packages::{Place, wheel, with};
use support::server::Server;

const GREET: &str = "import greet, importlib.metadata\n[greet.greet('you'), importlib.metadata.version('greet')]";

/// Seen to fail with the server's environment given to the resolver.
#[test]
fn an_allowed_package_is_found_once_and_used_again() {
    let place = Place::new();
    let mut server = place.serve();
    let (failed, answer, text) = server.tool("executeCode", with(&["Greet>=1"], GREET));
    assert!(!failed, "{text}");
    // 2.0 is not allowed, so the resolver is not let near it.
    assert_eq!(answer["result"], json!(["hello you", "1.2"]));
    assert_eq!(place.calls(), 1);
    let environment = fs::read_to_string(place.path("wheels/calls")).unwrap();
    assert!(!environment.contains("TEST_SECRET"), "{environment}");
    // Again, in another order and spelling, and in another process: nobody is asked.
    for _ in 0..2 {
        assert_eq!(server.tool("executeCode", with(&["numpy", "greet >= 1"], GREET)).1["result"], answer["result"]);
        server.stop();
        server = place.serve();
    }
    assert_eq!(place.calls(), 1);
    // Not for a run that does not ask for it.
    let without = server.execute("import greet");
    assert_eq!(without["error"]["type"], "ModuleNotFoundError");
    let audit = place.exuvia(&["audit", "tail", "--data", "data"], "").stdout;
    assert!(audit.contains("package greet==1.2") && audit.contains("package words==1.0"), "{audit}");
    assert_eq!(place.exuvia(&["packages", "update"], "").stdout, "forgot 1 answers\n");
    server.tool("executeCode", with(&["greet>=1"], GREET));
    assert_eq!(place.calls(), 2);
}

/// Seen to fail with all names admitted, with such of the same length (`polars`), with paths that lead out, and with what is built in kept from the
/// resolver.
#[test]
fn each_refusal_says_which_it_is() {
    let place = Place::new();
    let server = place.serve();
    let refused = |package: &str| {
        let (failed, answer, text) = server.tool("executeCode", with(&[package], "print('ran')"));
        assert!(failed && answer["stdout"].as_str().unwrap_or_default().is_empty(), "{text}");
        match answer["error"]["type"].as_str() {
            Some(kind) => format!("{kind}: {}", answer["error"]["message"].as_str().unwrap()),
            None => text,
        }
    };
    // Before anybody is asked.
    let denied = refused("polars");
    assert!(
        denied.starts_with("[POLICY DENIED] The package `polars` is not built in, and the policy does not allow it"),
        "{denied}"
    );
    assert!(refused("reqeusts").starts_with("[POLICY DENIED] The package `reqeusts` is not built in"));
    for smuggled in
        ["--index-url=http://127.0.0.1:9", "greet @ file:///etc/passwd", "greet\n--index-url=x", "-r index.json"]
    {
        assert!(refused(smuggled).ends_with("no URL, path, marker or option"), "{smuggled}");
    }
    assert!(refused("numpy>=99").starts_with("`additional_imports` has `numpy>=99`, but numpy 2."));
    assert_eq!(place.calls(), 0);
    for (package, expected) in [
        ("nowhere", "PackageError: there is no package `nowhere` on the index"),
        (
            "native",
            "PackageError: `native` 3.1 has native code, which cannot be loaded here: its wheels are for cp313-cp313-manylinux_2_28_x86_64;",
        ),
        ("source", "PackageError: `source` has no wheel for every machine"),
        ("newer", "PackageError: these packages cannot be had together: "),
        ("down", "PackageError: the index of packages does not answer: "),
        ("bad", "PackageError: the wheel `bad-1.0-py3-none-any.whl` cannot be used: `../../bad.py` is no plain path"),
        ("greet>=2", "PackageError: these packages cannot be had together: "),
    ] {
        let error = refused(package);
        assert!(error.starts_with(expected) || package == "greet>=2", "{error}");
    }
}

/// Dependency confusion: what an allowed package needs is decided like what is named. Seen to fail with one of a resolution left undecided.
#[test]
fn a_dependency_that_is_not_allowed_is_named() {
    let place = Place::new();
    place.allow(&["needs-more"]);
    let server = place.serve();
    let (failed, answer, text) = server.tool("executeCode", with(&["needs-more"], "1"));
    assert!(failed, "{text}");
    assert_eq!(answer["error"]["type"], "PolicyDenied");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("[POLICY DENIED] The package `secret-extra==6.6` is not built in"), "{message}");
    assert!(place.layers().is_empty());
    drop(server);
    place.allow(&["needs-more", "secret-extra"]);
    assert_eq!(place.serve().tool("executeCode", with(&["needs-more"], "1")).1["result"], 1);
    // And a policy that takes one back is obeyed, though the answer and the layer are there.
    place.allow(&["needs-more"]);
    let (calls, taken) = (place.calls(), place.serve().tool("executeCode", with(&["needs-more"], "1")).1);
    assert_eq!(taken["error"]["message"], message);
    assert_eq!((place.calls(), place.layers().len()), (calls, 1));
}

/// A resolver has no "or", so it is not told of bounds that have one: the version is decided when it is known. Seen to fail with versions not
/// looked at.
#[test]
fn a_version_that_is_not_allowed_is_refused_whatever_was_resolved() {
    let place = Place::new();
    place.allow(&["greet<1.2", "greet>=3", "words"]);
    let server = place.serve();
    let denied = server.tool("executeCode", with(&["greet"], GREET)).1["error"].clone();
    let message = denied["message"].as_str().unwrap();
    assert!(
        message.starts_with("[POLICY DENIED] The package `greet==2.0` is not built in, and the policy"),
        "{denied}"
    );
    assert!(place.layers().is_empty());
    place.allow(&["greet<1.2", "greet>=2", "words"]);
    assert_eq!(server.tool("executeCode", with(&["greet"], GREET)).1["result"], json!(["hello you", "2.0"]));
}

/// A wheel that is called one of all Python, and is none. Seen to fail with its files not looked at.
#[test]
fn native_code_is_refused_before_the_program_runs() {
    let place = Place::new();
    let (failed, answer, _) = place.serve().tool("executeCode", with(&["disguised"], "print('ran')"));
    assert!(failed && answer["stdout"] == "", "{answer}");
    let expected = "`disguised` 1.0 has native code, which cannot be loaded here: its wheel has `disguised/_fast.so`; use a package that \
                    is all Python, or what is built in";
    assert_eq!((&answer["error"]["type"], &answer["error"]["message"]), (&json!("PackageError"), &json!(expected)));
    assert!(place.layers().is_empty());
}

/// Seen to fail with the hash not compared.
#[test]
fn a_wheel_that_is_another_than_was_chosen_is_refused() {
    let place = Place::new();
    fs::write(place.path("wheels/wrong-1.0-py3-none-any.whl"), wheel(&[("wrong.py", "evil = 1")])).unwrap();
    let (_, answer, _) = place.serve().tool("executeCode", with(&["wrong"], "1"));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("could not fetch the wheel `wrong-1.0-py3-none-any.whl`: its SHA-256 is "),
        "{message}"
    );
}

/// Seen to fail with the seal not looked at.
#[test]
fn a_damaged_layer_is_made_again() {
    let place = Place::new();
    assert_eq!(place.serve().tool("executeCode", with(&["words"], "import words\nwords.HELLO")).1["result"], "hello");
    let library = place.layers()[0].join("library");
    let mut bytes = fs::read(&library).unwrap();
    let at = bytes.windows(5).position(|window| window == b"hello").unwrap();
    bytes[at] = b'j';
    fs::write(&library, &bytes).unwrap();
    assert_eq!(place.serve().tool("executeCode", with(&["words"], "import words\nwords.HELLO")).1["result"], "hello");
    assert_ne!(fs::read(&library).unwrap(), bytes);
}

#[test]
fn a_resolver_that_hangs_costs_the_call_its_time_and_no_more() {
    let place = Place::new();
    let mut server = place.serve();
    let arguments = json!({ "script": "1", "additional_imports": ["hangs"], "timeout": 0.2 });
    let job = server.tool("asyncExecuteCode", arguments).1["execution_uuid"].as_str().unwrap().to_owned();
    let status = server.wait(&job);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("timed_out"), &json!("TimeLimit")));
    let job = server.tool("asyncExecuteCode", with(&["hangs"], "1")).1["execution_uuid"].as_str().unwrap().to_owned();
    server.tool("cancelCodeExec", json!({ "execution_uuid": job }));
    assert_eq!(server.wait(&job)["status"], "cancelled");
    assert_eq!(server.execute("1")["result"], 1);
    // It ends the resolver that it has begun; one that is killed cannot.
    server.stop();
}

#[test]
fn without_uv_the_error_says_how_to_get_it() {
    let place = Place::new();
    let config =
        format!("[packages]\nuv = \"/nonexistent/uv\"\nindex = {:?}\n", place.path("wheels").display().to_string());
    fs::write(place.path("exuvia.toml"), config).unwrap();
    let (_, answer, _) = place.serve().tool("executeCode", with(&["greet"], "1"));
    let expected = "there is no `uv`, which finds packages: install it with `pip install uv`, or name it in the configuration \
                    (`packages.uv`); tried `/nonexistent/uv`";
    assert_eq!(answer["error"]["message"], expected);
    let doctor = place.exuvia(&["doctor"], "");
    assert!(doctor.stdout.contains("only those that are built in: there is no `uv`"), "{}", doctor.stdout);
}

/// Seen to fail with the environment taken for text: the command panics.
#[test]
fn a_variable_that_is_not_utf_8_does_no_harm() {
    let place = Place::new();
    fs::write(place.path("exuvia.toml"), "[packages]\nuv = \"/nonexistent/uv\"\n").unwrap();
    let other = OsStr::from_bytes(b"\xff");
    let ran =
        place.exuvia_with(&[("OTHER", other), ("UV_INDEX", other)], &["run", "script.py", "--with", "greet"], "1");
    let expected = "exuvia: there is no `uv`, which finds packages: install it with `pip install uv`, or name it in the configuration \
                    (`packages.uv`); tried `/nonexistent/uv`\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(3), expected));
}

#[test]
fn a_job_goes_on_with_the_packages_that_it_began_with() {
    let place = Place::new();
    let mut server = place.serve();
    let script =
        "import old, time\nprint('began', old.VERSION, flush=True)\ntime.sleep(3)\nimport importlib\nold.VERSION";
    let job = server.tool("asyncExecuteCode", with(&["old"], script)).1["execution_uuid"].as_str().unwrap().to_owned();
    let printed = |server: &Server| {
        server.get(&format!("/v1/executions/{job}")).1["stdout"].as_str().unwrap_or_default().to_owned()
    };
    while !printed(&server).contains("began") {
        std::thread::yield_now();
    }
    server.kill();
    // The index has another version now, and nobody asks for it. The layer is gone, and is made again of the same wheels.
    fs::remove_dir_all(&place.layers()[0]).unwrap();
    let calls = place.calls();
    let mut server = place.serve();
    let status = server.wait(&job);
    assert_eq!((&status["status"], &status["result"]), (&json!("completed"), &json!(1)), "{status}");
    assert_eq!(place.calls(), calls);
    // When not even the wheel is there, the job says so.
    let job = server.tool("asyncExecuteCode", with(&["old"], script)).1["execution_uuid"].as_str().unwrap().to_owned();
    let printed = |server: &Server| {
        server.get(&format!("/v1/executions/{job}")).1["stdout"].as_str().unwrap_or_default().to_owned()
    };
    while !printed(&server).contains("began") {
        std::thread::yield_now();
    }
    server.kill();
    fs::remove_dir_all(&place.layers()[0]).unwrap();
    fs::remove_file(place.path("wheels/old-1.0-py3-none-any.whl")).unwrap();
    let status = place.serve().wait(&job);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("failed"), &json!("Interrupted")));
    let message = status["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("interrupted: packages changed. the packages that this began with are gone"),
        "{message}"
    );
}

#[test]
fn a_session_has_the_packages_of_its_first_call() {
    let place = Place::new();
    let server = place.serve();
    let call = |packages: &[&str], script: &str| {
        server.tool("executeCode", json!({ "script": script, "session_id": "s", "additional_imports": packages }))
    };
    assert_eq!(call(&["greet"], "import greet\nx = 1").1["success"], true);
    // Without naming it, and naming a part of it.
    assert_eq!(call(&[], "greet.greet('you')").1["result"], "hello you");
    assert_eq!(call(&["words"], "import words\nwords.HELLO").1["result"], "hello");
    let (failed, answer, _) = call(&["old"], "1");
    assert!(failed);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the session has other packages: it keeps those of its first call."), "{message}");
    let reset = json!({ "script": "import old\nold.VERSION", "session_id": "s", "additional_imports": ["old"], "reset_session": true });
    assert_eq!(server.tool("executeCode", reset).1["result"], 1);
}

#[test]
fn the_command_line_has_packages_without_a_policy() {
    let place = Place::new();
    let ran = place.exuvia(&["run", "script.py", "--with", "greet<2"], GREET);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "[\"hello you\", \"1.2\"]\n"), "{}", ran.stderr);
    let ran = place.exuvia(&["run", "script.py", "--with", "--index-url=x"], "1");
    assert_eq!(ran.status, Some(64), "{}", ran.stderr);
    let ran = place.exuvia(&["run", "script.py", "--with", "nowhere"], "1");
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(3), "exuvia: there is no package `nowhere` on the index\n"));
    assert_eq!(
        place.exuvia(&["run", "script.py", "--image", "none"], "1").stderr,
        "exuvia: there is no image `none`: `exuvia image build` makes one, `exuvia image list` lists them\n"
    );
    assert!(Path::new(&place.path("cache/layers")).exists());
}
