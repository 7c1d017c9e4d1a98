//! `jobtracker export` and `jobtracker import`: a part of the command line, like `main.rs`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use jobtracker_client::{Error, JobTrackerClient};
use jobtracker_model::{ExportCounts, JobId, Timestamp};
use jobtracker_server::{
    Config, Overrides, StoreKind, Telemetry,
    moving::{
        self, Export, Exported, Fetched, Imported, ImportedDocuments, MovingError, Selection, Step,
        Target,
    },
};

use crate::{
    service,
    store::{self, StoreName},
    terminal,
};

/// The options that select the store.
#[derive(Args)]
struct StoreArguments {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store
    #[arg(long)]
    store: Option<StoreName>,
    /// The directory of the fjall store
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Args)]
pub struct ExportArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// A running service whose trees are exported, such as http://127.0.0.1:8840, instead of a
    /// store
    #[arg(long, conflicts_with_all = ["config", "store", "data_dir"])]
    url: Option<String>,
    /// A file with the token of an admin, instead of the variable JOBTRACKER_TOKEN
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// A file with certificates in PEM of authorities to trust for the service, instead of the
    /// variable JOBTRACKER_CA, which names such a file
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// The file that is written; -: standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The tree with this root, instead of all; may be given more than once
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "until"])]
    root: Vec<JobId>,
    /// Trees whose roots were created at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Trees whose roots were created before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Go on with a file that was broken off
    #[arg(long)]
    resume: bool,
}

#[derive(Args)]
pub struct ImportArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The file that is read; -: standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Progress is printed each time that one of these numbers has grown by this much.
const TREES_BETWEEN: u64 = 1_000;
const BYTES_BETWEEN: u64 = 64 * 1024 * 1024;
const ROWS_BETWEEN: u64 = 1_000_000;

/// How often a connection may bring no whole tree.
const TRIES: u32 = 8;
/// The pause after the first such one; then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(250);

pub fn export(arguments: ExportArguments) -> anyhow::Result<()> {
    let ExportArguments { store, url, token_file, ca, to, root, from, until, resume } = arguments;
    let selection = match (root.is_empty(), from, until) {
        (false, _, _) => Some(Selection::Roots(root)),
        (true, None, None) => None,
        (true, from, until) => Some(Selection::Created { from, until }),
    };
    let is_pipe = is_pipe(&to);
    let target = match (is_pipe, resume) {
        (true, true) => anyhow::bail!("a pipe cannot be resumed; name a file by --to"),
        (true, false) => Target::Pipe(Box::new(io::stdout())),
        (false, true) => Target::Resume(to),
        (false, false) => Target::New(to),
    };
    if let Some(url) = url {
        let client = service::client(&url, token_file.as_deref(), ca)?;
        return fetch(&client, target, selection, is_pipe);
    }
    from_store(store, target, selection)
}

fn from_store(
    store: StoreArguments,
    target: Target,
    selection: Option<Selection>,
) -> anyhow::Result<()> {
    let (config, _telemetry) = load(store)?;
    let kind = config.store.kind;
    if kind == StoreKind::Fjall && !config.store.data_dir.is_dir() {
        anyhow::bail!("there is no store in {}", config.store.data_dir.display());
    }
    let done = store::runtime(kind)?.block_on(async {
        let store = store::open(&config.store).await?;
        let kind = kind.name().to_owned();
        let export = Export { store: Arc::clone(&store), kind, selection, now: moving::now() };
        let (mut trees, mut bytes) = (0, 0);
        let tell = &mut |done: &Exported| {
            if done.trees >= trees + TREES_BETWEEN || done.bytes >= bytes + BYTES_BETWEEN {
                (trees, bytes) = (done.trees, done.bytes);
                terminal::tell(format_args!("{trees} trees, {bytes} bytes"));
            }
        };
        let done = export.run(target, tell).await;
        store.close().await;
        done.map_err(unwritten)
    })?;
    let Exported { trees, kept, counts, documents, bytes, has_newer } = done;
    tell_exported(trees, &counts, documents, bytes);
    if kept > 0 {
        terminal::tell(format_args!("{kept} of the trees were in the file already"));
    }
    if has_newer {
        terminal::tell(format_args!(
            "trees were created meanwhile that are not in it; export them by --from"
        ));
    }
    Ok(())
}

pub fn import(arguments: ImportArguments) -> anyhow::Result<()> {
    let ImportArguments { store, file } = arguments;
    let (config, _telemetry) = load(store)?;
    let name = file.display().to_string();
    let file: Box<dyn Read> = if is_pipe(&file) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&file).with_context(|| format!("cannot read {name}"))?)
    };
    let mut so_far = Imported::default();
    let done = store::runtime(config.store.kind)?.block_on(async {
        let store = store::open(&config.store).await?;
        let tell = &mut |step: Step<'_>| match step {
            Step::Failed { root, reason } => terminal::tell(format_args!("tree {root}: {reason}")),
            Step::DocumentFailed { id, reason } => {
                terminal::tell(format_args!("document {id}: {reason}"));
            }
            Step::Done(done) => {
                let trees = |done: &Imported| done.new + done.there + done.failed;
                if trees(done) >= trees(&so_far) + TREES_BETWEEN
                    || done.rows >= so_far.rows + ROWS_BETWEEN
                {
                    so_far = *done;
                    terminal::tell(format_args!("{} trees, {} rows", trees(done), done.rows));
                }
            }
        };
        let done = moving::import(&store, file, &name, tell).await;
        store.close().await;
        anyhow::Ok(done)
    })?;
    let Imported { new, there, failed, counts, documents, .. } = done.map_err(explain)?;
    terminal::tell(format_args!("read {}", amount(new + there + failed, &counts)));
    terminal::tell(format_args!("imported {}, {there} were there already", plural(new, "tree")));
    let ImportedDocuments { new, there, failed: kept } = documents;
    if new + there > 0 {
        let new = plural(new, "document");
        terminal::tell(format_args!("imported {new}, {there} were there already"));
    }
    let (trees, documents) = (plural(failed, "tree"), plural(kept, "document"));
    match (failed, kept) {
        (0, 0) => Ok(()),
        (_, 0) => anyhow::bail!("{trees} could not be put in"),
        (0, _) => anyhow::bail!("{documents} could not be put in"),
        _ => anyhow::bail!("{trees} and {documents} could not be put in"),
    }
}

/// The trees of a running service come into a file.
fn fetch(
    client: &JobTrackerClient,
    target: Target,
    selection: Option<Selection>,
    is_pipe: bool,
) -> anyhow::Result<()> {
    let mut file = Fetched::open(target, selection).map_err(unwritten)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fetch_all(client, &mut file, is_pipe))
}

async fn fetch_all(
    client: &JobTrackerClient,
    file: &mut Fetched,
    is_pipe: bool,
) -> anyhow::Result<()> {
    let kept = file.trees();
    let mut tries = 0;
    while !file.is_complete() {
        let trees = file.trees();
        let came = fetch_some(client, file).await;
        if is_pipe {
            return came.map(|()| terminal::tell("all of it was written"));
        }
        file.settle().map_err(unwritten)?;
        if file.is_complete() {
            break;
        }
        tries = if file.trees() > trees { 0 } else { tries + 1 };
        let error = came.err().unwrap_or_else(|| anyhow::anyhow!("its end did not come"));
        let is_final = error.downcast_ref::<MovingError>().is_some()
            || error.downcast_ref::<Error>().is_some_and(|error| !error.is_retryable());
        if is_final || tries >= TRIES {
            let trees = file.trees();
            return Err(error.context(format!("the export broke off, with {trees} trees in it")));
        }
        terminal::tell(format_args!("{error}; going on behind {} trees", file.trees()));
        tokio::time::sleep(PAUSE * 2_u32.pow(tries.saturating_sub(1))).await;
    }
    tell_exported(file.trees(), &file.counts(), file.documents(), file.bytes());
    if kept > 0 {
        terminal::tell(format_args!("{kept} of the trees were in the file already"));
    }
    Ok(())
}

/// Takes what one connection brings.
async fn fetch_some(client: &JobTrackerClient, file: &mut Fetched) -> anyhow::Result<()> {
    let mut pieces = client.export(&file.request()).await?;
    let mut told = file.bytes();
    while let Some(piece) = pieces.next().await {
        file.write(&piece?).map_err(unwritten)?;
        if file.bytes() >= told + BYTES_BETWEEN {
            told = file.bytes();
            terminal::tell(format_args!("{told} bytes"));
        }
    }
    Ok(())
}

/// Says what is in a file.
fn tell_exported(trees: u64, counts: &ExportCounts, documents: u64, bytes: u64) {
    terminal::tell(format_args!(
        "exported {} and {} in {bytes} bytes",
        amount(trees, counts),
        plural(documents, "document")
    ));
}

/// Why an export was not written; no reader of a pipe is a reason of its own.
fn unwritten(error: MovingError) -> anyhow::Error {
    match error {
        MovingError::File { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
            terminal::ReaderGone.into()
        }
        error => error.into(),
    }
}

fn load(arguments: StoreArguments) -> anyhow::Result<(Config, Telemetry)> {
    let StoreArguments { config, store, data_dir } = arguments;
    let store = store.map(StoreKind::from);
    // The command serves no requests, so no open address has to be refused.
    let overrides = Overrides { store, data_dir, allow_open: true, ..Overrides::default() };
    let config = Config::load(config.as_deref(), overrides)?;
    let telemetry = Telemetry::start(&config.log);
    anyhow::ensure!(
        config.store.kind != StoreKind::Memory,
        "the store \"memory\" keeps nothing, so that there is nothing to move from or to it"
    );
    Ok((config, telemetry))
}

fn explain(error: MovingError) -> anyhow::Error {
    let advice = match &error {
        MovingError::Truncated(_) => {
            "the trees before that are imported; go on with the export (jobtracker export \
             --resume) and import the file again"
        }
        MovingError::Damaged { .. } => {
            "the trees before that are imported; export again, and import that"
        }
        MovingError::Store(_) | MovingError::Tree { .. } => {
            "the trees before that are imported; import the file again to go on"
        }
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; {advice}")
}

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn amount(trees: u64, counts: &ExportCounts) -> String {
    let ExportCounts { jobs, changes, log_lines, attachments, .. } = *counts;
    format!(
        "{} with {}, {}, {}, {}",
        plural(trees, "tree"),
        plural(jobs, "job"),
        plural(changes, "change"),
        plural(log_lines, "line"),
        plural(attachments, "attachment")
    )
}

fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
