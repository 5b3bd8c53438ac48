//! Other runs. Guards: the restore of pages (`pages.rs`), the replaced state of a run (`slot.rs`), the seed (`wasi`).

use super::*;

#[test]
fn nothing_of_a_run_reaches_the_next() {
    let place = Place::new();
    let before = place.inspect();
    let ran = place.run_within(include_str!("leave.py"), &exuvia_runtime::Limits { memory: 256 << 20, ..limits() });
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str(), ran.stderr.as_str()), ("finished", "left\n", ""));
    // The instance is the same one: growth of memory would have cost it its place.
    assert_eq!(ran.peak_memory / (1 << 20), place.sandbox.memory_floor() / (1 << 20));
    let ran = place.run(include_str!("look.py"));
    assert_eq!(
        (ran.ending.as_str(), ran.stdout.as_str(), ran.stderr.as_str()),
        ("finished", include_str!("look.stdout"), "")
    );
    assert_eq!(place.inspect(), before);
    assert_eq!(place.sandbox.mismatches(), 0);
}

#[test]
fn the_look_finds_what_the_same_run_left() {
    // The search is no use unless it finds the secret where there is one.
    let both = format!("{}\n{}", include_str!("leave.py"), include_str!("look.py"));
    let ran = Place::new().run(&both);
    assert_eq!(ran.ending, "finished");
    let missed: Vec<_> = ran.stdout.lines().filter(|line| line.ends_with(" not there")).collect();
    assert_eq!(missed, [""; 0], "{}", ran.stdout);
}

#[test]
fn seeds_decide_randomness_and_nothing_else_does() {
    let place = Place::new();
    let source = "import os, random, uuid, secrets, numpy as np\nprint(random.random(), np.random.rand(), uuid.uuid4(), secrets.token_hex(), os.urandom(4))";
    let with = |seed| place.run_program(&Program { seed: [seed; 32], ..Program::new(source) }, &limits()).stdout;
    let (first, second) = (with(1), with(2));
    assert_ne!(first, second);
    assert_eq!(with(1), first);
    // A run that drew numbers and seeded generators changes nothing.
    place.run("import random, numpy, os\nrandom.seed(5); numpy.random.seed(5); random.random(); numpy.random.rand(); os.urandom(100)");
    assert_eq!(with(2), second);
}
