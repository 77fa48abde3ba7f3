//! The shape of the core: a folder uses those before it, never one after it; no module is long, and
//! no folder has many of them.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Those of one line do not use each other.
const ORDER: [&[&str]; 10] = [
    &["error", "file", "time"],
    &["json"],
    &["frame"],
    &["encode", "event", "input"],
    &["event_tables"],
    &["query"],
    &["summary"],
    &["scan"],
    &["part"],
    &["database"],
];

const MOST_LINES: usize = 500;
const MOST_MODULES: usize = 9;

fn rank(name: &str) -> usize {
    let found = ORDER.iter().position(|names| names.contains(&name));
    found.unwrap_or_else(|| panic!("{name}: stands nowhere in the order"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn imports_go_one_way_and_modules_are_short() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    for path in &all {
        let place = path.strip_prefix(&src).expect("a file below it");
        let shown = place.display();
        let text = fs::read_to_string(path).expect("UTF-8");
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{shown}: {lines} lines, of {MOST_LINES} at the most");
        let first = place.iter().next().and_then(|name| name.to_str()).expect("a name");
        let own = first.trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        for after in text.split("crate::").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let used = &after[..end.unwrap_or(after.len())];
            if used != own {
                assert!(rank(used) < rank(own), "{shown}: uses {used}, which comes after it");
            }
        }
    }
}

#[test]
fn folders_have_few_modules() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut is_root = true;
    while let Some(folder) = folders.pop() {
        let mut modules = std::collections::BTreeSet::new();
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.is_dir() {
                folders.push(path);
            }
            if name != "mod" && name != "tests" {
                modules.insert(name);
            }
        }
        let count = modules.len();
        assert!(is_root || count <= MOST_MODULES, "{}: {count} modules", folder.display());
        is_root = false;
    }
}
