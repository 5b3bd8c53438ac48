//! `exuvia doctor`.

use super::*;

#[test]
fn doctor_says_what_is_cached_and_what_the_machine_offers() {
    let place = Place::new();
    // Whoever comes first makes the cache.
    is(&place.program("print(1)", &[]), 0, "1\n", "");
    let ran = place.run(&["doctor"]);
    assert_eq!(ran.stderr, "");
    for part in [
        concat!("exuvia ", env!("CARGO_PKG_VERSION"), "\n"),
        "\ncache ",
        "  ready: ",
        "\nmachine\n  Linux ",
        "  recycling: ",
        "  memory mappings: ",
    ] {
        assert!(ran.stdout.contains(part), "{part} is not in {}", ran.stdout);
    }
    let is_well = ran.stdout.ends_with("\nNothing is wrong.\n");
    assert_eq!(ran.status, Some(i32::from(!is_well)), "{}", ran.stdout);
    assert_eq!(ran.stdout.contains("WRONG: "), !is_well);
}

#[test]
fn doctor_finds_an_empty_and_a_damaged_cache() {
    let place = Place::new();
    let cache = place.0.path().join("cache");
    let doctor = || Ran::from(place.command(&["doctor"]).env("EXUVIA_CACHE", &cache).output().unwrap());
    let ran = doctor();
    assert!(ran.stdout.contains("  empty: the first run compiles Python for this machine"), "{}", ran.stdout);
    assert!(!cache.exists(), "looking makes nothing");
    // The entry's name, from the cache that is there.
    let ready = place.run(&["doctor"]).stdout;
    let line = ready.lines().find_map(|line| line.trim().strip_prefix("ready: ")).unwrap().to_owned();
    let entry = Path::new(line.split(' ').next().unwrap()).file_name().unwrap().to_owned();
    fs::create_dir_all(cache.join(&entry)).unwrap();
    let ran = doctor();
    assert_eq!(ran.status, Some(1));
    let damaged = cache.join(&entry).join("seal.json");
    assert!(
        ran.stdout.contains(&format!("WRONG: `{}` is not what it was when it was made;", damaged.display())),
        "{}",
        ran.stdout
    );
}
