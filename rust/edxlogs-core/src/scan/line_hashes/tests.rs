use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("edxlogs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn told(hashes: &LineHashes, lines: &[Vec<u8>]) -> Vec<bool> {
    lines.iter().map(|line| hashes.is_duplicate(line).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The answers are those of plain sets, however little memory there is.
    #[test]
    fn agrees_with_sets(
        sources in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(0..3_u8, 0..6), 0..200), 1..4),
        recent in 1..40_usize,
        within: bool,
    ) {
        let folder = Folder::new("sets");
        let mut held: HashSet<Vec<u8>> = HashSet::new();
        let mut earlier = Vec::new();
        for (number, lines) in sources.iter().enumerate() {
            let path = folder.0.join(number.to_string());
            let hashes =
                LineHashes::with_memory(path.clone(), &earlier, within, recent).unwrap();
            told(&hashes, &[b"of a reading that was broken off".to_vec()]);
            hashes.begin();
            let mut own: HashSet<Vec<u8>> = HashSet::new();
            for line in lines {
                let expected = held.contains(line) || (within && own.contains(line));
                prop_assert_eq!(hashes.is_duplicate(line).unwrap(), expected);
                if !held.contains(line) {
                    own.insert(line.clone());
                }
            }
            prop_assert_eq!(hashes.finish().unwrap(), own.len() as u64);
            prop_assert_eq!(path.exists(), !own.is_empty());
            if path.exists() {
                earlier.push(path);
            }
            held.extend(own);
        }
        // Nothing but the files that were asked for is left.
        prop_assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), earlier.len());
    }
}

#[test]
fn finds_each_of_many_blocks() {
    let folder = Folder::new("blocks");
    let path = folder.0.join("first");
    let lines: Vec<Vec<u8>> = (0..5_000_u32).map(|number| number.to_le_bytes().to_vec()).collect();
    let first = LineHashes::with_memory(path.clone(), &[], false, 700).unwrap();
    assert!(told(&first, &lines).iter().all(|&held| !held));
    assert_eq!(first.finish().unwrap(), 5_000);
    let second = LineHashes::new(folder.0.join("second"), &[path], false).unwrap();
    assert!(told(&second, &lines).iter().all(|&held| held));
    assert!(!second.is_duplicate(&5_000_u32.to_le_bytes()).unwrap());
    assert_eq!(second.finish().unwrap(), 1);
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = Folder::new("damaged");
    let path = folder.0.join("file");
    for bytes in [&[0; 15][..], &[1; 32], &[[2; 16], [1; 16]].concat()] {
        std::fs::write(&path, bytes).unwrap();
        let error =
            LineHashes::new(folder.0.join("own"), std::slice::from_ref(&path), false).unwrap_err();
        assert!(error.to_string().contains("file: holds no hashes of lines"), "{error}");
    }
}
