//! Foreign files in the data directory, and who may read the directory.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

use jobtracker_store::Error;

use crate::{
    disk::{open, open_small, refused},
    forest::Tree,
};

async fn stored(directory: &Path) -> Tree {
    let store = open_small(directory).unwrap();
    let mut tree = Tree::with_children(1, 2..30);
    for _ in 0..10 {
        tree.log(&"x".repeat(1000));
        tree.commit_to(&store).await.unwrap();
    }
    drop(store);
    tree
}

#[tokio::test]
async fn foreign_files_are_not_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let tree = stored(directory.path()).await;
    let at = |path: &str| directory.path().join(path);
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    let folders = ["", "db", "db/keyspaces", "db/keyspaces/1", "db/keyspaces/1/tables"];
    let mut count = 0;
    for folder in folders {
        let folder = at(folder);
        for name in [".nfs000001", "core", "core.77", "notes.txt~", "0.jnl~", "version~", "v"] {
            fs::write(folder.join(name), "stray").unwrap();
        }
        fs::write(folder.join(bytes), "stray").unwrap();
        for name in ["a folder", "x.jnl"] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("inside"), "stray").unwrap();
        }
        count += 10;
    }
    fs::write(at("db/copy.jnl"), "stray").unwrap();
    fs::write(at("db/1.JNL"), "stray").unwrap();
    fs::create_dir(at("db/7.jnl")).unwrap();
    fs::create_dir(at("db/keyspaces/2024")).unwrap();
    fs::write(at("db/keyspaces/1/version"), "stray").unwrap();
    count += 5;
    for _ in 0..2 {
        let store = open(directory.path()).unwrap();
        tree.compare(&store).await.unwrap();
    }
    // None of them was removed.
    let strays = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        fs::read(path).is_ok_and(|text| text == b"stray") && name != "inside"
    };
    let files = crate::disk::files(directory.path(), strays).len();
    let inside = crate::disk::files(directory.path(), |path| path.ends_with("inside")).len();
    assert_eq!(files + inside + 2, count);
}

#[tokio::test]
async fn only_its_owner_can_read_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("data");
    // When there is nothing to merge, nothing is written after the store has been opened.
    drop(open(&below).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&below), 0o700);
    // As an earlier version has left it.
    let wide = |path: &Path| {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let everything = || {
        let mut paths = vec![below.clone()];
        let mut at = 0;
        while at < paths.len() {
            if paths[at].is_dir() {
                let entries = fs::read_dir(&paths[at]).unwrap();
                paths.extend(entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
            }
            at += 1;
        }
        paths
    };
    everything().iter().for_each(|path| wide(path));
    // It changes nothing outside.
    let outside = directory.path().join("outside");
    fs::write(&outside, "").unwrap();
    wide(&outside);
    std::os::unix::fs::symlink(&outside, below.join("link")).unwrap();
    drop(open(&below).unwrap());
    assert_eq!(mode(&outside), 0o644);
    for path in everything().iter().filter(|path| !path.ends_with("link")) {
        assert_eq!(mode(path) & 0o077, 0, "{}", path.display());
    }
}

/// Another version of the engine may have other journals, of which nothing is to be cut off.
#[tokio::test]
async fn another_layout_of_the_engine_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let tree = stored(directory.path()).await;
    let marker = directory.path().join("db/version");
    let known = fs::read(&marker).unwrap();
    fs::write(&marker, b"FJL\x04").unwrap();
    let error = refused(directory.path());
    let says = |reason: &str| reason.contains("layout 4");
    assert!(matches!(&error, Error::Unusable { reason, .. } if says(reason)), "{error}");
    for damaged in [&b"FJL"[..], b"", b"other"] {
        fs::write(&marker, damaged).unwrap();
        assert!(matches!(refused(directory.path()), Error::Corrupt(_)));
    }
    fs::write(&marker, known).unwrap();
    tree.compare(&open(directory.path()).unwrap()).await.unwrap();
}
