use std::sync::Arc;

use jobtracker_server::moving::{MovingError, Selection};
use jobtracker_store::{Store, memory::MemoryStore};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Target,
    documents::plant_documents,
    everything, export, export_to, id, import_all, lines,
    trees::{broad_tree, plant, random_trees},
    write,
};
use crate::harness::{STORES, Shelf};

/// A file that was cut anywhere is completed to the same file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    let mut random = StdRng::seed_from_u64(8);
    for kind in STORES {
        let source = Shelf::open(kind).await;
        random_trees(source.store(), 30).await;
        plant(source.store(), (1..9).map(|number| broad_tree(90_000_000 + 100 * number, 3, 2)))
            .await;
        plant_documents(source.store()).await;
        let chosen = [3, 1, 7, 5].map(|number| id(90_000_000 + 100 * number)).to_vec();
        for selection in [Selection::ALL, Selection::Roots(chosen)] {
            let (whole, file) = export(source.store(), selection.clone()).await;
            assert_eq!(whole.documents > 0, selection == Selection::ALL);
            let random_cuts = (0..25).map(|_| random.random_range(0..file.len()));
            let cuts: Vec<usize> =
                [0, 1, 20, file.len() - 1].into_iter().chain(random_cuts).collect();
            for cut in cuts {
                write(&path, &file[..cut]);
                // Before the end of its header the file does not know the selection.
                let again = (cut < 250).then(|| selection.clone());
                let target = Target::Resume(path.clone());
                let done = export_to(source.store(), again, target).await.unwrap();
                assert_eq!((done.trees, done.counts), (whole.trees, whole.counts), "{cut}");
                assert_eq!(done.documents, whole.documents, "{cut}");
                assert!(done.kept < whole.trees || cut > file.len() / 2);
                let resumed = std::fs::read(&path).unwrap();
                assert_eq!(done.bytes, resumed.len() as u64);
                assert_eq!(lines(&resumed), lines(&file), "{cut}");
                let target: Arc<dyn Store> = Arc::new(MemoryStore::new());
                assert_eq!(import_all(&target, &resumed).await.new, whole.trees);
            }
        }
        source.close().await;
    }
}

/// The header names every chosen root, so it may be long; a piece of it is known by how it begins.
#[tokio::test]
async fn a_long_header_that_breaks_off_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut random = StdRng::seed_from_u64(3);
    let numbers: Vec<u64> =
        (1..2_000).map(|at| at * 1_000_000 + random.random_range(0..99_999)).collect();
    plant(&source, numbers.iter().map(|root| broad_tree(*root, 0, 0))).await;
    let chosen = Some(Selection::Roots(numbers.iter().map(|root| id(*root)).collect()));
    let (whole, file) = export(&source, chosen.clone().unwrap()).await;
    // The header is most of the first frame; a tree here has about 300 bytes.
    for cut in [30, 100, 1_500, 4_000, 6_000] {
        write(&path, &file[..cut]);
        let done = export_to(&source, chosen.clone(), Target::Resume(path.clone())).await.unwrap();
        assert_eq!((done.trees, done.kept), (whole.trees, 0), "{cut}");
        assert_eq!(lines(&std::fs::read(&path).unwrap()), lines(&file), "{cut}");
    }
}

/// The bytes that a crash leaves at the end of a file are cut off too.
#[tokio::test]
async fn a_damaged_end_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&source, (1..5).map(|number| broad_tree(100 * number, 3, 2))).await;
    let (_, file) = export(&source, Selection::ALL).await;
    for from in [file.len() / 3, file.len() / 2, file.len() - 30] {
        let mut file = file.clone();
        file[from..].fill(0);
        write(&path, &file);
        let done = export_to(&source, None, Target::Resume(path.clone())).await.unwrap();
        assert_eq!(done.trees, 4);
        let target: Arc<dyn Store> = Arc::new(MemoryStore::new());
        import_all(&target, &std::fs::read(&path).unwrap()).await;
        assert_eq!(everything(&target).await, everything(&source).await);
    }
}

#[tokio::test]
async fn what_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&source, (1..5).map(|number| broad_tree(100 * number, 3, 2))).await;
    // An absent file is begun.
    let done = export_to(&source, None, Target::Resume(path.clone())).await.unwrap();
    assert_eq!((done.trees, done.kept), (4, 0));
    let file = std::fs::read(&path).unwrap();
    let error = export_to(&source, None, Target::New(path.clone())).await.unwrap_err();
    assert!(matches!(&error, MovingError::Exists(there) if *there == path), "{error}");
    assert!(error.to_string().contains("--resume"), "{error}");
    // A complete file stays unchanged.
    let done = export_to(&source, None, Target::Resume(path.clone())).await.unwrap();
    assert_eq!((done.trees, done.kept, done.bytes), (4, 4, file.len() as u64));
    assert!(std::fs::read(&path).unwrap() == file);
    // A file that was begun with other trees, too.
    write(&path, &file[..file.len() / 2]);
    let other = Some(Selection::Roots(vec![id(100)]));
    let error = export_to(&source, other, Target::Resume(path.clone())).await.unwrap_err();
    assert!(matches!(error, MovingError::OtherSelection), "{error}");
    assert!(std::fs::read(&path).unwrap() == file[..file.len() / 2]);

    // Any other file stays unchanged.
    let text = zstd::decode_all(&*file).unwrap();
    let one_frame = zstd::encode_all(&*text, 3).unwrap();
    let newer = String::from_utf8(text).unwrap().replacen("\"version\":8", "\"version\":9", 1);
    let newer = zstd::encode_all(newer.as_bytes(), 3).unwrap();
    let noise: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let long = zstd::encode_all(&*noise, 3).unwrap();
    for other in [
        b"my only notes".to_vec(),
        b"my".to_vec(),
        one_frame[..one_frame.len() - 20].to_vec(),
        newer,
        long[..long.len() - 5].to_vec(),
    ] {
        write(&path, &other);
        let error = export_to(&source, None, Target::Resume(path.clone())).await.unwrap_err();
        assert!(std::fs::read(&path).unwrap() == other, "{error}");
    }
}
