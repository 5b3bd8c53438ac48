//! The interpreter and the guest package, broken from inside, and libraries in C that read what they are given.

use super::*;

#[test]
fn streams_and_descriptors_are_taken_away() {
    let ran = survive(
        "import sys\nprint('before')\nsys.stdout = None\nsys.stderr = 5\nsys.stdin = object()\n1 / 0",
        &limits(),
    );
    ends(&ran, "raised ZeroDivisionError: division by zero", "before\n");
    let ran = survive(include_str!("close_all.py"), &limits());
    ends(&ran, "finished", "before\n");
    assert_eq!(ran.result, serde_json::json!(["OSError", 1, 2]));
    let ran = survive(include_str!("reuse_stdout.py"), &limits());
    ends(&ran, "finished", "");
    assert_eq!(ran.stderr, "to the file 1\n");
}

#[test]
fn builtins_and_modules_are_deleted() {
    ends(&survive("import sys\nprint('before')\nsys.modules.clear()", &limits()), "finished", "before\n");
    let no_bool = "stopped: the interpreter crashed (the guest package failed: NameError: name 'bool' is not defined)";
    ends(&survive(include_str!("delete_builtins.py"), &limits()), no_bool, "before\n");
    let no_exit =
        "stopped: the interpreter crashed (the guest package failed: NameError: name 'SystemExit' is not defined)";
    ends(&survive("import builtins\nprint('before')\nvars(builtins).clear()", &limits()), no_exit, "before\n");
}

#[test]
fn the_guest_package_is_broken() {
    let ran = survive(include_str!("patch_guest.py"), &limits());
    ends(
        &ran,
        "stopped: the interpreter crashed (the guest package failed: AttributeError: 'NoneType' object has no attribute \
         'describe')",
        "before\n",
    );
    let broken =
        |how: &str| survive(&format!("import _exuvia\nprint('before')\nfinish = _exuvia.finish\n{how}\n5"), &limits());
    ends(
        &broken("finish(b'garbage')\n_exuvia.finish = lambda *_: None"),
        "stopped: the interpreter crashed (the outcome is not readable: expected value at line 1 column 1)",
        "before\n",
    );
    ends(
        &broken("def no(*_): raise ValueError('no')\n_exuvia.finish = no"),
        "stopped: the interpreter crashed (the guest package failed: ValueError: no)",
        "before\n",
    );
    ends(&broken("def no(*_): raise MemoryError\n_exuvia.finish = no"), MEMORY, "before\n");
    // The last outcome counts, so a forged one does not.
    let ran = broken("finish(b'{\"result\": 7}')");
    assert_eq!((ran.ending.as_str(), ran.result), ("finished", serde_json::json!(5)));
}

#[test]
fn bytecode_that_no_compiler_writes() {
    let ran = survive(include_str!("bytecode.py"), &limits());
    // What lies behind the constants is read as objects, what lies behind the code as code: not the same in each build.
    if ran.stderr.is_empty() {
        let endings = [WILD, "raised SystemError: script.py:-1: unknown opcode 144"];
        assert!(endings.contains(&ran.ending.as_str()) && ran.stdout == "before\n", "{}: {}", ran.ending, ran.stdout);
    } else {
        ends(&ran, TRAPPED, "before\n");
        let fatal = "Fatal Python error: _PyEval_EvalFrameDefault: Executing a cache.\n";
        assert!(ran.stderr.starts_with(fatal), "{}", ran.stderr);
    }
}

#[test]
fn objects_that_fight_being_freed() {
    let ran = survive(include_str!("finalizers.py"), &limits());
    ends(&ran, "finished", "end\n");
    assert_eq!(ran.stderr.matches("SystemExit: in del").count(), 3);
}

// Pictures and fonts, read by code in C. What it does wrong stays in the guest's memory.

#[test]
fn thousands_of_damaged_pictures_and_fonts() {
    let ran = survive(include_str!("pictures.py"), &Limits { files: 64 * MIB, ..with_memory(512) });
    ends(&ran, "finished", include_str!("pictures.stdout"));
}

/// Without `patches/matplotlib/0002-size-of-images.patch` the size wraps round: the same program was seen to end in a
/// memory fault in a module built so.
#[test]
fn figures_that_no_memory_holds() {
    let program = "import matplotlib.pyplot as plt\n\
        for size in [(655.36, 655.36), (40000, 40000)]:\n    \
        try: plt.figure(figsize=size, dpi=100).savefig('x.png')\n    \
        except (ValueError, MemoryError) as error: print(type(error).__name__)\n\
        plt.close('all')";
    let ran = survive(program, &with_memory(256));
    ends(&ran, "finished", "ValueError\nValueError\n");
}
