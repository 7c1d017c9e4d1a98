//! The commands on their command lines.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
};

use super::{
    everything, export, lines,
    trees::{broad_tree, plant},
    write,
};
use jobtracker_server::moving::Selection;

const BINARY: &str = env!("CARGO_BIN_EXE_jobtracker");

fn jobtracker(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    jobtracker(arguments).output().unwrap()
}

/// The output of a command that succeeds.
#[track_caller]
fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[track_caller]
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn open(directory: &Path) -> std::sync::Arc<dyn Store> {
    std::sync::Arc::new(FjallStore::open(&FjallOptions::new(directory)).unwrap())
}

/// A folder with a store in `from`, and paths of other names in it.
async fn house() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let place = move |name: &str| path.join(name).to_str().unwrap().to_owned();
    let store = open(place("from").as_ref());
    let trees = [(100, 2, 1), (200, 0, 0), (300, 1_500, 0)];
    plant(&store, trees.map(|(root, width, each)| broad_tree(root, width, each))).await;
    store.close().await;
    (folder, place)
}

async fn same(one: &str, other: &str) {
    let (one, other) = (open(one.as_ref()), open(other.as_ref()));
    assert!(everything(&one).await == everything(&other).await);
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn a_store_moves_house() {
    let (_folder, place) = house().await;
    let (from, to, file) = (place("from"), place("to"), place("trees.export"));
    let text = said(&["export", "--data-dir", &from, "--to", &file]);
    assert!(text.contains("3 trees") && text.contains("1507 jobs"), "{text}");
    let text = said(&["import", "--data-dir", &to, &file]);
    assert!(text.contains("3 trees") && text.contains("1507 jobs"), "{text}");
    same(&from, &to).await;
    let text = said(&["import", "--data-dir", &to, &file]);
    assert!(text.contains("3 were there already"), "{text}");

    // Some trees, by root and by time.
    let chosen = place("chosen.export");
    let by_root = ["--root", "200", "--root", "100"];
    said(&[&["export", "--data-dir", &from, "--to", &chosen][..], &by_root].concat());
    assert_eq!(trees(&chosen), [100, 200]);
    let newest = place("newest.export");
    let by_time = ["--from", "2023-11-14T22:13:20.200Z", "--until", "2023-11-14T22:13:20.300Z"];
    said(&[&["export", "--data-dir", &from, "--to", &newest][..], &by_time].concat());
    assert_eq!(trees(&newest), [200]);
}

fn trees(file: &str) -> Vec<u64> {
    let begins = lines(&std::fs::read(file).unwrap()).into_iter();
    let tree = |line: String| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["tree"]["root"].as_u64()
    };
    begins.filter_map(tree).collect()
}

#[tokio::test]
async fn through_a_pipe() {
    let (_folder, place) = house().await;
    let (from, to) = (place("from"), place("to"));
    let mut export = jobtracker(&["export", "--data-dir", &from, "--to", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let import = jobtracker(&["import", "--data-dir", &to, "-"])
        .stdin(export.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(export.wait().unwrap().success());
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    same(&from, &to).await;
}

#[tokio::test]
async fn what_is_broken_off_goes_on() {
    let (_folder, place) = house().await;
    let (from, to, file) = (place("from"), place("to"), place("trees.export"));
    let store = open(from.as_ref());
    let (_, whole) = export(&store, Selection::ALL).await;
    store.close().await;
    // The import is killed in the middle of the large tree, which comes first.
    let mut import = jobtracker(&["import", "--data-dir", &to, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = import.stdin.take().unwrap();
    pipe.write_all(&whole[..whole.len() - 1_000]).unwrap();
    pipe.flush().unwrap();
    import.kill().unwrap();
    import.wait().unwrap();
    // The export was broken off too.
    write(file.as_ref(), &whole[..whole.len() - 500]);
    let text = refusal(&["import", "--data-dir", &to, &file]);
    assert!(text.contains("the export breaks off") && text.contains("export --resume"), "{text}");
    let arguments = ["export", "--data-dir", &from, "--to", &file];
    let text = refusal(&arguments);
    assert!(text.contains("is there already"), "{text}");
    let text = said(&[&arguments[..], &["--resume"]].concat());
    assert!(text.contains("3 trees"), "{text}");
    said(&["import", "--data-dir", &to, &file]);
    same(&from, &to).await;
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let (_folder, place) = house().await;
    let (from, to, file) = (place("from"), place("to"), place("trees.export"));
    for command in [&["export", "--to", &file][..], &["import", &file]] {
        let text = refusal(&[command, &["--store", "memory"]].concat());
        assert!(text.contains("keeps nothing"), "{text}");
    }
    let text = refusal(&["import", "--data-dir", &to, &file]);
    assert!(text.contains(&file), "{text}");
    let text = refusal(&["export", "--data-dir", &to, "--to", &file]);
    assert!(text.contains(&to) && text.contains("no store"), "{text}");
    assert!(!Path::new(&to).exists() && !Path::new(&file).exists());
    let text = refusal(&["export", "--data-dir", &from, "--to", &file, "--root", "7"]);
    assert!(text.contains("there is no root job 7"), "{text}");
    for arguments in [
        &["--root", "1", "--from", "2026-11-21T09:30:00Z"][..],
        &["--root", "0"],
        &["--until", "tomorrow"],
        &["--to", "-", "--resume"],
    ] {
        let output = run(&[&["export", "--data-dir", &from, "--to", &file], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    // A store that another process uses.
    let store = open(from.as_ref());
    let text = refusal(&["export", "--data-dir", &from, "--to", &place("other.export")]);
    assert!(text.contains("another process") && text.contains(&from), "{text}");
    store.close().await;
    drop(store);

    // A tree that exists with other content is reported, and the others are imported.
    said(&["export", "--data-dir", &from, "--to", &place("good.export")]);
    let store = open(to.as_ref());
    plant(&store, [broad_tree(200, 1, 0)]).await;
    store.close().await;
    drop(store);
    let text = refusal(&["import", "--data-dir", &to, &place("good.export")]);
    assert!(text.contains("tree 200: it is there already"), "{text}");
    assert!(text.contains("2 trees") && text.contains("1 tree could not be put in"), "{text}");
}
