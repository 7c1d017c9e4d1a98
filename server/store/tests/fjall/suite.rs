use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jobtracker_model::JobId;
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
};
use jobtracker_store_suite::Fixture;
use tempfile::TempDir;

use crate::disk;

/// Stores in directories of their own.
struct Directories {
    tune: fn(&mut FjallOptions),
    root: TempDir,
    of: Mutex<HashMap<usize, PathBuf>>,
}

impl Directories {
    fn new(tune: fn(&mut FjallOptions)) -> Self {
        Self { tune, root: tempfile::tempdir().unwrap(), of: Mutex::default() }
    }

    fn open_in(&self, directory: PathBuf) -> Arc<dyn Store> {
        let mut options = FjallOptions::new(&directory);
        (self.tune)(&mut options);
        let store: Arc<dyn Store> = Arc::new(FjallStore::open(&options).unwrap());
        self.of.lock().unwrap().insert(address(&store), directory);
        store
    }

    async fn close(&self, store: Arc<dyn Store>) -> PathBuf {
        let directory = self.of.lock().unwrap().remove(&address(&store)).unwrap();
        store.close().await;
        directory
    }
}

fn address(store: &Arc<dyn Store>) -> usize {
    Arc::as_ptr(store).cast::<()>().addr()
}

#[async_trait]
impl Fixture for Directories {
    const DURABLE: bool = true;

    async fn open(&self) -> Arc<dyn Store> {
        let directory = tempfile::tempdir_in(self.root.path()).unwrap().keep();
        self.open_in(directory)
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let directory = self.close(store).await;
        self.open_in(directory)
    }

    async fn reopen_and_count(
        &self,
        store: Arc<dyn Store>,
        of: &BTreeSet<JobId>,
    ) -> (Arc<dyn Store>, usize) {
        let directory = self.close(store).await;
        let image = tempfile::tempdir_in(self.root.path()).unwrap();
        disk::copy(&directory, image.path());
        let rows = disk::rows_of(image.path(), of);
        (self.open_in(directory), rows)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_the_suite() {
    jobtracker_store_suite::run(&Directories::new(|_| {})).await;
}

/// So little memory that nearly every row goes to a table file and comes back from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_the_suite_with_tiny_buffers_and_caches() {
    let tune = |options: &mut FjallOptions| {
        options.write_buffer_bytes = 16 * 1024;
        options.block_cache_bytes = 1;
        options.node_cache_bytes = 8 * 1024;
        options.definition_cache_bytes = 8 * 1024;
        options.readers = 1;
        options.workers = 1;
        options.commit_queue = 1;
    };
    jobtracker_store_suite::run(&Directories::new(tune)).await;
}
