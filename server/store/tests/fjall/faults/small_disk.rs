//! A disk that another program fills.

use std::{
    fs,
    process::{Command, Stdio},
};

use jobtracker_store::{Health, fjall::FjallStore};

use super::{Writers, in_a_process, options, told_directory, until_it_takes_writes};
use crate::disk;

/// A disk of its own, for users that may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=160m", "none"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_store_comes_back_after_its_disk_was_full() {
    match SmallDisk::mount() {
        Some(disk) => in_a_process("small_disk::child_on_a_small_disk", disk.0.path(), None),
        None => eprintln!(
            "no disk can be mounted here, which takes root: a full disk is tested by injected \
             errors only"
        ),
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_on_a_small_disk() {
    let Some(disk) = told_directory() else { return };
    let directory = disk.join("store");
    let mut options = options(&directory);
    options.min_free_bytes = 0;
    // The store does not see what another program takes between two checks.
    options.free_space = std::sync::Arc::new(|_| Ok(u64::MAX));
    let store = FjallStore::open(&options).unwrap();
    let mut writers = Writers::new(&store).await;
    for round in 0..4 {
        writers.steps(&store, 10).await;
        let other = disk.join("other");
        let filled = fs::write(&other, vec![7; 170 << 20]);
        assert!(filled.is_err(), "the disk is larger than it should be");
        writers.until_it_fails(&store).await;
        writers.are_there(&store).await;
        fs::remove_file(other).unwrap();
        let took = until_it_takes_writes(&store).await;
        println!("round {round} on a full disk, back after {took:?}");
        writers.compare(&store).await;
    }
    store.close().await;
    writers.compare(&disk::open(&directory).unwrap()).await;
}
