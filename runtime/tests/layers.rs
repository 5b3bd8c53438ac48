//! Packages beside those of the image: what a run finds of them, and what they cannot do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Cache, Config, Error, Extension, Isolated, Layer, Layers, Left, Program, Session, Tree};
use serde_json::json;
use std::sync::Arc;
use support::{Place, Ran, limits};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A package with a module below it, its metadata, and names that others have already.
fn tree() -> Tree {
    [
        ("greet/__init__.py", "from .words import hello\nfrom json import dumps\n"),
        ("greet/words.py", "def hello(name):\n    return f'hello {name}'\n\ndef fail():\n    raise ValueError('no')\n"),
        ("greet/data.txt", "data"),
        ("greet-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: greet\nVersion: 1.2\n"),
        ("json.py", "raise SystemExit('this json must not be imported')\n"),
        ("numpy/__init__.py", "raise SystemExit('this numpy must not be imported')\n"),
        ("exuvia_guest/program.py", "raise SystemExit('this must not be imported')\n"),
        ("exuvia_guest/more.py", "raise SystemExit('this must not be imported')\n"),
        ("template.py", "this is {{ no }} Python\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
    .into()
}

struct Shop {
    place: Place,
    layers: Layers,
    _folder: TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { place: Place::new(), layers: Layers::new(&Cache::new(folder.path())), _folder: folder }
    }

    fn make(&self, name: &str, tree: Tree) -> Layer {
        self.layers.making(name).unwrap().make(&self.place.sandbox, tree).unwrap()
    }

    fn run(&self, layer: &Layer, source: &str) -> Ran {
        let program = Program { packages: Some(layer.clone()), ..Program::new(source) };
        self.place.run_program(&program, &limits())
    }
}

#[test]
fn a_package_is_imported_with_its_data_and_metadata() {
    let shop = Shop::new();
    let layer = shop.make("1", tree());
    let ran = shop.run(
        &layer,
        "import greet, importlib.metadata, importlib.resources, sys\n\
         (greet.hello('you'), importlib.metadata.version('greet'), importlib.resources.read_text('greet', 'data.txt'),\n \
          greet.words.__file__, greet.words.__cached__, sys.path[-1])",
    );
    assert_eq!(ran.ending, "finished", "{}", ran.traceback);
    let expected = json!([
        "hello you",
        "1.2",
        "data",
        "/packages/greet/words.py",
        "/packages/greet/__pycache__/words.cpython-313.pyc",
        "/packages"
    ]);
    assert_eq!(ran.result, expected);
    // A traceback shows the package's own lines.
    let raised = shop.run(&layer, "from greet.words import fail\nfail()");
    assert_eq!(raised.ending, "raised ValueError: no");
    assert!(raised.traceback.contains("/packages/greet/words.py\", line 5, in fail"), "{}", raised.traceback);
    // And a run without it has none of it.
    let without = shop.place.run("import os, sys\n('packages' in os.listdir('/'), '/packages' in sys.path)");
    assert_eq!(without.result, json!([false, false]));
}

/// The layer is at the end of `sys.path`: at its beginning, the program would end with `this json must not be imported`.
#[test]
fn no_package_takes_the_place_of_what_is_there() {
    let shop = Shop::new();
    let layer = shop.make("1", tree());
    let ran = shop.run(
        &layer,
        "import importlib, sys, greet\n\
         for name in ('json', 'numpy', 'exuvia_guest.program'):\n    del sys.modules[name]\n\
         [importlib.import_module(name).__file__ for name in ('json', 'exuvia_guest.program')] + [\n    \
         importlib.util.find_spec('numpy').origin]",
    );
    assert_eq!(ran.ending, "finished", "{}", ran.traceback);
    let expected = json!([
        "/lib/python3.13/json/__init__.py",
        "/lib/exuvia/exuvia_guest/program.py",
        "/lib/python3.13/site-packages/numpy/__init__.py"
    ]);
    assert_eq!(ran.result, expected);
    assert_eq!(
        shop.run(&layer, "import exuvia_guest.more").ending.split(':').next(),
        Some("raised ModuleNotFoundError")
    );
}

#[test]
fn a_program_changes_nothing_of_a_layer() {
    let shop = Shop::new();
    let layer = shop.make("1", tree());
    let attempts = "import os\n\
        def refused(attempt, *arguments):\n    \
            try:\n        attempt(*arguments)\n    except OSError as error:\n        return error.strerror\n\
        [refused(open, '/packages/greet/words.py', 'w'), refused(open, '/packages/new.py', 'w'), refused(os.remove, '/packages/json.py'),\n \
         refused(os.mkdir, '/packages/x'), refused(os.rename, '/packages/greet', '/tmp/greet'), refused(os.rmdir, '/packages'),\n \
         refused(os.rename, '/packages', '/tmp/packages')]";
    let ran = shop.run(&layer, attempts);
    assert_eq!(ran.ending, "finished", "{}", ran.traceback);
    let read_only = "Read-only file system";
    let expected = json!([read_only, read_only, read_only, read_only, read_only, "Directory not empty", read_only]);
    assert_eq!(ran.result, expected);
    // What is writable is written to by the same code.
    assert_eq!(shop.run(&layer, "open('/tmp/new.py', 'w').write('x')").result, json!(1));
    assert_eq!(shop.run(&layer, "import os\nos.path.realpath('/packages/greet/../..')").result, json!("/"));
}

#[test]
fn the_same_files_make_the_same_layer_byte_for_byte() {
    let (first, second) = (Shop::new(), Shop::new());
    first.make("1", tree());
    second.make("1", tree());
    let bytes = |shop: &Shop| std::fs::read(shop.layers.folder().join("1/library")).unwrap();
    assert!(bytes(&first) == bytes(&second));
}

#[test]
fn of_two_that_make_one_the_second_finds_it() {
    let shop = Shop::new();
    let making = shop.layers.making("1").unwrap();
    assert!(making.made().unwrap().is_none());
    let (began, begins) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            began.send(()).unwrap();
            shop.layers.making("1").unwrap().made().unwrap().is_some()
        });
        begins.recv().unwrap();
        making.make(&shop.place.sandbox, tree()).unwrap();
        // The lock has it wait.
        assert!(second.join().unwrap());
    });
    // What was killed in the middle is made anew.
    std::fs::create_dir(shop.layers.folder().join("new-2")).unwrap();
    std::fs::write(shop.layers.folder().join("new-2/library"), "half").unwrap();
    shop.make("2", tree());
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    let shop = Shop::new();
    for path in ["../x.py", "/x.py", "a//b.py", ""] {
        let making = shop.layers.making("1").unwrap();
        let made = making.make(&shop.place.sandbox, Tree::from([(path.to_owned(), Vec::new())]));
        let error = made.unwrap_err().to_string();
        assert_eq!(error, format!("could not compile the packages: `{path}` is not the path of a file"));
    }
}

#[test]
fn a_session_goes_on_only_with_the_packages_that_it_began_with() {
    let shop = Shop::new();
    let (one, two) = (shop.make("1", tree()), shop.make("2", tree()));
    let call = |source: &str, layer: Option<&Layer>, from| {
        let program = Program { packages: layer.cloned(), ..Program::new(source) };
        let session = Session { from, most: 64 << 20 };
        let host = Box::new(Isolated::default());
        let limits = limits();
        let ran = shop.place.sandbox.run_in_session(&program, &limits, host, CancellationToken::new(), session);
        shop.place.runtime.block_on(ran)
    };
    let first = "import sys\nfrom greet import hello\nfile = open('/packages/greet/data.txt')";
    let (_, left) = call(first, Some(&one), None).unwrap();
    let Left::State(state) = left else { panic!("nothing is left: {left:?}") };
    assert_eq!(state.packages(), Some("1"));
    let state = Arc::new(state);
    let (outcome, _) =
        call("hello('again'), file.read(), sys.path.count('/packages')", Some(&one), Some(Arc::clone(&state))).unwrap();
    assert_eq!(Ran::from(outcome).result, json!(["hello again", "data", 1]));
    // Without the comparison the call would run, and its file would be another one.
    for other in [Some(&two), None] {
        let error = call("1", other, Some(Arc::clone(&state))).unwrap_err();
        assert!(matches!(error, Error::OtherPackages), "{error}");
    }
}

/// Makes an image, which takes a minute.
#[test]
fn an_image_has_its_packages_imported() {
    let shop = Shop::new();
    let layer = shop.make("1", tree());
    let cache = tempfile::tempdir().unwrap();
    let extension = Extension { layer, imports: vec!["greet".into()] };
    let config = Config { slots: 1, extension: Some(extension), ..Config::new(Cache::new(cache.path())) };
    let place = Place::with(&config);
    let ran =
        place.run("import sys\nwas = 'greet' in sys.modules\nimport greet\n[was, greet.hello('you'), greet.__file__]");
    assert_eq!(ran.result, json!([true, "hello you", "/lib/packages/greet/__init__.py"]), "{}", ran.traceback);
    assert_ne!(place.sandbox.image_digest(), shop.place.sandbox.image_digest());
    // Another layer on top, which does not win.
    let more = Tree::from([("more.py".into(), b"x = 2".to_vec()), ("greet.py".into(), b"x = 2".to_vec())]);
    let more = shop.make("3", more);
    let program = Program { packages: Some(more), ..Program::new("import more, greet\n[more.x, greet.hello('you')]") };
    assert_eq!(place.run_program(&program, &limits()).result, json!([2, "hello you"]));
}
