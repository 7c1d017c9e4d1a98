use std::sync::Arc;

use jobtracker_model::JobId;
use jobtracker_server::moving::{MovingError, Selection};
use jobtracker_store::{Row, Store, memory::MemoryStore};

use super::{
    export, id, import, import_all, lines, roots, rows,
    trees::{broad_tree, plant},
};
use crate::harness::{Harness, STORES};

/// A small file, and what is in it.
async fn small() -> (Vec<u8>, Vec<(JobId, Vec<Row>)>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&store, [(100, 2, 1), (200, 0, 0), (300, 1, 0)].map(|(a, b, c)| broad_tree(a, b, c)))
        .await;
    let (_, file) = export(&store, Selection::ALL).await;
    let mut trees = Vec::new();
    for root in roots(&store).await {
        trees.push((root, rows(&store, root).await));
    }
    (file, trees)
}

/// Asserts that every tree is complete or absent. Answers how many are complete.
async fn whole_or_absent(store: &Arc<dyn Store>, trees: &[(JobId, Vec<Row>)]) -> usize {
    let there = roots(store).await;
    for (root, due) in trees {
        let found = rows(store, *root).await;
        assert!(found.is_empty() || found == *due, "half of tree {root}");
        assert_eq!(found.is_empty(), !there.contains(root));
    }
    assert!(there.iter().all(|id| trees.iter().any(|(root, _)| root == id)));
    there.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_breaks_off_leaves_whole_trees() {
    let (file, trees) = small().await;
    let mut came = Vec::new();
    for cut in 0..file.len() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (done, failed) = import(&store, &file[..cut]).await;
        assert!(matches!(done, Err(MovingError::Truncated(_))), "{cut}: {done:?}");
        assert_eq!(failed, []);
        came.push(whole_or_absent(&store, &trees).await);
    }
    assert!(came.is_sorted() && came.first() == Some(&0) && came.last() == Some(&trees.len()));
    // One store that receives more and more of the file.
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        for cut in (0..file.len()).step_by(file.len() / 12) {
            assert!(import(harness.store(), &file[..cut]).await.0.is_err());
            whole_or_absent(harness.store(), &trees).await;
        }
        import_all(harness.store(), &file).await;
        assert_eq!(whole_or_absent(harness.store(), &trees).await, trees.len());
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_found() {
    let (file, trees) = small().await;
    let mut harmless = 0;
    for at in 0..file.len() {
        for bit in [0, 3, 6] {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let (done, failed) = import(&store, &file).await;
            assert_eq!(failed, []);
            let there = whole_or_absent(&store, &trees).await;
            // Some bits of a frame's head only bound the memory for it.
            if done.is_ok() {
                harmless += 1;
                assert_eq!(there, trees.len(), "bit {bit} of byte {at}");
            }
        }
    }
    assert!(harmless < 60, "{harmless} of {}", 3 * file.len());
}

/// A file made of lines by hand, all in one frame.
pub fn file_of(lines: &[String]) -> Vec<u8> {
    zstd::encode_all(format!("{}\n", lines.join("\n")).as_bytes(), 3).unwrap()
}

/// All lines of the small file.
async fn small_lines() -> Vec<String> {
    let (file, _) = small().await;
    let text = String::from_utf8(zstd::decode_all(&*file).unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub async fn refusal(lines: &[String]) -> String {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (done, failed) = import(&store, &file_of(lines)).await;
    assert_eq!(failed, []);
    let there = roots(&store).await;
    assert!(!there.contains(&id(200)), "the broken tree is there: {there:?}");
    done.unwrap_err().to_string()
}

/// Gives a tree of the lines the right checksum, so that only its content is wrong.
pub fn mended(lines: &[String], root: u64) -> Vec<String> {
    let find = |kind: &str, key: &str| {
        let begin = format!("{{\"{kind}\":{{\"{key}\":{root},");
        lines.iter().position(|line| line.starts_with(&begin)).unwrap()
    };
    let (begin, end) = (find("tree", "root"), find("treeEnd", "root"));
    let text = lines[begin + 1..end].iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut lines = lines.to_vec();
    let (head, _) = lines[end].split_once("\"checksum\"").unwrap();
    let checksum = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    lines[end] = format!("{head}\"checksum\":\"{checksum:016x}\"}}}}");
    lines
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let lines = small_lines().await;
    // The lines of tree 200, a root alone: tree, job, status, change, line, attachment, repeat,
    // end.
    let begin = lines.iter().position(|line| line.starts_with("{\"tree\":{\"root\":200")).unwrap();
    let replace = |at: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replacen(from, to, 1);
        lines
    };
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines
    };
    let swapped = |one: usize, other: usize| {
        let mut lines = lines.clone();
        lines.swap(one, other);
        lines
    };
    let (job, status, change, line, text, repeat, end) =
        (begin + 1, begin + 2, begin + 3, begin + 4, begin + 5, begin + 6, begin + 7);
    let at = |line: usize| format!("in tree 200, at line {}", line + 1);
    let cases = [
        (replace(job, "job 200", "job 201"), "its checksum is another one".into(), end),
        (mended(&replace(job, "\"parent\":null", "\"parent\":7"), 200), "parent".into(), job),
        (mended(&replace(job, "job 200", ""), 200), "name: has 0 bytes".into(), job),
        (mended(&without(job), 200), "does not begin with its root".into(), job),
        (mended(&without(status), 200), "not in order".into(), status),
        (mended(&without(change), 200), "its end tells of".into(), end - 1),
        (mended(&swapped(change, line), 200), "not in order".into(), line),
        (mended(&swapped(text, repeat), 200), "not in order".into(), repeat),
        (
            mended(&replace(change, "\"number\":1", "\"number\":2"), 200),
            "where 1 is due".into(),
            change,
        ),
        (mended(&replace(line, "\"line\":0", "\"line\":1"), 200), "where 0 is due".into(), line),
        (
            mended(&replace(line, "\"id\":200", "\"id\":100"), 200),
            "is not about job 200".into(),
            line,
        ),
        (mended(&replace(text, "\"a\"", "\"../a\""), 200), "key".into(), text),
        (mended(&replace(repeat, "change of 200", ""), 200), "name: has 0 bytes".into(), repeat),
        (
            mended(&replace(status, "\"logLines\":1", "\"logLines\":2"), 200),
            "its status says".into(),
            end,
        ),
        (
            mended(&replace(status, "\"total\":0", "\"total\":1"), 200),
            "1 jobs below it".into(),
            status,
        ),
        (replace(change, "Running", "Runing"), "a line cannot be read".into(), change),
        (replace(end, "\"jobs\":1", "\"jobs\":2"), "its end tells of".into(), end),
        (replace(end, "\"root\":200", "\"root\":300"), "it ends as another tree".into(), end),
        (without(end), "a line stands where it may not".into(), end),
    ];
    for (number, (lines, what, place)) in cases.into_iter().enumerate() {
        let complaint = refusal(&lines).await;
        let what: String = what;
        assert!(complaint.contains(what.as_str()), "{number}: {complaint}, not {what}");
        assert!(complaint.contains(&at(place)), "{number}: {complaint}, not {}", at(place));
    }
}

/// The writer may choose where frames begin.
#[tokio::test]
async fn lines_in_one_frame_are_as_good() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert_eq!(import_all(&store, &file_of(&small_lines().await)).await.new, 3);
}

#[tokio::test]
async fn what_is_no_export_is_told() {
    let lines = small_lines().await;
    let with_header = |from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[0].contains(from));
        lines[0] = lines[0].replacen(from, to, 1);
        lines
    };
    let newer = with_header("\"version\":8", "\"version\":9,\"andMore\":[]");
    let mut no_end = lines.clone();
    no_end.pop();
    let mut more = lines.clone();
    more.push(lines[0].clone());
    let mut fewer = lines.clone();
    let end = fewer.len() - 1;
    fewer[end] = fewer[end].replacen("\"trees\":3", "\"trees\":2", 1);
    for (lines, what) in [
        (newer, "has version 9, this program knows versions up to 8"),
        (with_header("jobtracker-export", "other"), "this is not an export of job trees"),
        (with_header("\"idMark\"", "\"mark\""), "the header cannot be read"),
        (lines[1..].to_vec(), "this is not an export of job trees"),
        (vec!["{}".into()], "this is not an export of job trees"),
        (no_end, "the export breaks off at line"),
        (more, "there is more behind its end"),
        (fewer, "its end tells of other trees than came"),
    ] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let complaint = import(&store, &file_of(&lines)).await.0.unwrap_err().to_string();
        assert!(complaint.contains(what), "{complaint}, not {what}");
    }
    for file in [&b"{\"header\":{}}"[..], b"\x1f\x8b\x08\x00\x00", &[0; 100]] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let error = import(&store, file).await.0.unwrap_err();
        assert!(matches!(error, MovingError::NotAnExport(_)), "{error}");
    }
    let (file, _) = small().await;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let twice = [&*file, &*file].concat();
    let complaint = import(&store, &twice).await.0.unwrap_err().to_string();
    assert!(complaint.contains("there is more behind its end"), "{complaint}");
    assert_eq!(self::lines(&file).len(), lines.len() - 2);
}
