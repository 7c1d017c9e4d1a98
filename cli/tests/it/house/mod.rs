//! The rules of the house: which crate may depend on which, how long files and functions may be,
//! that no files use each other in a circle, that the pages name only files that exist, and which
//! words names and comments do without.

mod uses;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Which package of the workspace may depend on which. Any other dependency is an error.
const ARROWS: &[(&str, &[&str])] = &[
    ("jobtracker-model", &[]),
    ("jobtracker-guard", &[]),
    ("jobtracker-client", &["jobtracker-model"]),
    ("jobtracker-context", &["jobtracker-client", "jobtracker-model"]),
    ("jobtracker-flow", &["jobtracker-context", "jobtracker-client"]),
    ("jobtracker-worker", &["jobtracker-client", "jobtracker-guard"]),
    ("jobtracker-store", &["jobtracker-model"]),
    ("jobtracker-store-suite", &["jobtracker-model", "jobtracker-store"]),
    ("jobtracker-engine", &["jobtracker-model", "jobtracker-store"]),
    ("jobtracker-scheduler", &["jobtracker-model", "jobtracker-store", "jobtracker-engine"]),
    ("jobtracker-web", &[]),
    (
        "jobtracker-server",
        &[
            "jobtracker-model",
            "jobtracker-guard",
            "jobtracker-store",
            "jobtracker-engine",
            "jobtracker-scheduler",
            "jobtracker-web",
        ],
    ),
    (
        "jobtracker",
        &[
            "jobtracker-client",
            "jobtracker-model",
            "jobtracker-store",
            "jobtracker-server",
            "jobtracker-worker",
        ],
    ),
    ("jobtracker-benches", &["jobtracker-client", "jobtracker-context", "jobtracker-worker"]),
    ("jobtracker-flow-benches", &["jobtracker-client", "jobtracker-flow"]),
    (
        "jobtracker-examples",
        &[
            "jobtracker-client",
            "jobtracker-context",
            "jobtracker-flow",
            "jobtracker-server",
            "jobtracker-store",
            "jobtracker-worker",
        ],
    ),
];

/// Crates that only some packages may use: HTTP belongs to the ends of the wire, a driver to the
/// store.
const DOORS: &[(&str, &[&str])] = &[
    // The last one has a receiver of deliveries.
    ("actix-web", &["jobtracker-server", "jobtracker-benches", "jobtracker-examples"]),
    (
        "reqwest",
        &["jobtracker-client", "jobtracker-guard", "jobtracker-server", "jobtracker-worker"],
    ),
    ("fjall", &["jobtracker-store", "jobtracker-benches"]),
    ("prometheus-client", &["jobtracker-engine", "jobtracker-server"]),
];

/// Files and functions that are too long. The list may only shrink.
const TOO_LONG: &[&str] = &[];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const LINE_CHARS: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Licences that a program under MIT OR Apache-2.0 can be shipped with.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Package and dependency, for every dependency outside tests.
fn dependencies() -> Vec<(String, String)> {
    let metadata = metadata(&["--no-deps"]);
    let mut arrows = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"].is_null() {
                let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
                arrows.push((name(package), name(dependency)));
            }
        }
    }
    assert!(!arrows.is_empty());
    arrows
}

fn metadata(arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether all licences of one alternative are on the list.
fn is_licence_fine(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" OR ")
        .any(|choice| choice.split(" AND ").all(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licences_can_be_shipped() {
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_licence_fine(licence), "{} has the licence {licence}", package["name"]);
    }
}

#[test]
fn arrows_point_one_way() {
    for (from, to) in dependencies() {
        if to.starts_with("jobtracker-") {
            let allowed =
                ARROWS.iter().any(|(package, may)| *package == from && may.contains(&to.as_str()));
            assert!(allowed, "a new arrow: {from} -> {to}");
        }
        if let Some((_, may)) = DOORS.iter().find(|(door, _)| *door == to) {
            assert!(may.contains(&from.as_str()), "{from} may not know {to}");
        }
    }
}

/// Every source file of the project with its text.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.')
            {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                sources.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    sources
}

/// The functions of a formatted file, by name, with their lines: each ends with the first brace at
/// its own indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words: Vec<&str> = code.split_whitespace().collect();
        let modifiers = ["pub", "async", "const", "unsafe", "pub(crate)", "pub(super)"];
        let Some(at) = words.iter().position(|word| !modifiers.contains(word)) else { continue };
        if words[at] != "fn" || code.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[start..].iter().position(|line| *line == end);
        let name = words.get(at + 1).copied().unwrap_or_default();
        let name = name.split(['(', '<']).next().unwrap_or_default();
        found.extend(length.map(|length| (name.to_owned(), length + 1)));
    }
    found
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut seen = BTreeSet::new();
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let mut complain = |what: String, why: String| {
            if TOO_LONG.contains(&what.as_str()) {
                seen.insert(what);
            } else {
                complaints.push(format!("{what}: {why}"));
            }
        };
        let lines = text.lines().count();
        if lines > FILE_LINES {
            complain(path.clone(), format!("{lines} lines"));
        }
        for (name, lines) in functions(&text) {
            if lines > FUNCTION_LINES {
                complain(format!("{path}: fn {name}"), format!("{lines} lines"));
            }
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_CHARS {
                complain(format!("{path}:{}", number + 1), "a long line".into());
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let gone: Vec<_> = TOO_LONG.iter().filter(|entry| !seen.contains(**entry)).collect();
    assert!(gone.is_empty(), "these are short now, take them off the list: {gone:?}");
}

/// Crates that only some folders may name.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "actix_web",
        &[
            "server/src/http/",
            "server/src/server.rs",
            "server/src/metrics.rs",
            "benches/",
            "examples/",
        ],
    ),
    ("actix_http", &["server/src/http/", "server/src/server.rs"]),
    ("reqwest", &["client/src/", "guard/src/", "server/src/outbox/", "worker/src/builtin/http"]),
    ("lettre", &["server/src/outbox/", "server/src/config/smtp.rs"]),
    ("fjall", &["server/store/src/fjall/", "benches/"]),
    ("scylla", &["server/store/src/scylla/", "benches/"]),
    ("cel", &["server/src/expression/"]),
    ("clap", &["cli/src/", "benches/"]),
];

/// The libraries and programs of all packages.
fn crates() -> Vec<uses::Crate> {
    let metadata = metadata(&["--no-deps"]);
    let targets = metadata["packages"].as_array().unwrap().iter();
    let targets = targets.flat_map(|package| package["targets"].as_array().unwrap());
    let is_shipped = |target: &&serde_json::Value| {
        ["lib", "bin"].iter().any(|kind| target["kind"][0].as_str() == Some(kind))
    };
    let file = |target: &serde_json::Value| PathBuf::from(target["src_path"].as_str().unwrap());
    targets.filter(is_shipped).map(|target| uses::Crate::read(&file(target))).collect()
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn only_its_rooms_name_a_crate() {
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for read in crates() {
        for (file, words) in read.outside() {
            let file = relative(file);
            for (word, rooms) in ROOMS.iter().filter(|(word, _)| words.contains(word)) {
                seen.insert(*word);
                if !rooms.iter().any(|room| file.starts_with(room)) {
                    complaints.push(format!("{file} names {word}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(seen.len(), ROOMS.len(), "of the crates on the list, files name only {seen:?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut complaints = Vec::new();
    let mut arrows = 0;
    for read in crates() {
        let found = read.arrows();
        arrows += found.values().map(BTreeSet::len).sum::<usize>();
        for (from, to) in uses::circles(&found) {
            complaints.push(format!("{} -> {}", relative(from), relative(to)));
        }
    }
    assert!(arrows > 500, "only {arrows} arrows were found");
    assert!(complaints.is_empty(), "arrows on circles:\n{}", complaints.join("\n"));
}

/// The backends take what they need of an index from its number and its entries, so that a new
/// index is an entry of the registry, and no change of each backend.
#[test]
fn stores_name_indexes_in_their_registry_alone() {
    let registry = "server/store/src/index.rs";
    let mut named = BTreeSet::new();
    for (path, text) in
        sources().into_iter().filter(|(path, _)| path.starts_with("server/store/src/"))
    {
        if path.ends_with("/tests.rs") {
            continue;
        }
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let uses = product.split("IndexId::").skip(1);
        if uses.into_iter().any(|rest| !rest.starts_with("ALL")) || product.contains("enum IndexId")
        {
            named.insert(path);
        }
    }
    assert_eq!(named, BTreeSet::from([registry.to_owned()]), "files that name an index");
}

#[test]
fn pages_name_only_files_that_exist() {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|page| page.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|kind| kind == "md"));
    let pages: Vec<_> = pages.chain([root().join("README.md")]).collect();
    let is_path = |word: &&str| {
        word.contains('/')
            && !word.contains("//")
            && [".rs", ".toml", ".md", ".json", ".sh"].iter().any(|end| word.ends_with(end))
            && !word.starts_with(['/', '~', '.'])
    };
    let mut named = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let words = text.split(|char: char| char.is_whitespace() || "`()[],;|'\"".contains(char));
        for path in words.filter(is_path) {
            named += 1;
            let page = page.display();
            assert!(root().join(path).exists(), "{page} names {path}, which is not there");
        }
    }
    assert!(named > 50, "{named} files are named; the walks through them are gone");
}

/// Words of earlier versions; `docs/architecture.md` has the ones to use.
const PRIVATE_WORDS: &[&str] = &[
    "Ripple", "Agenda", "Firsts", "Moment", "Front", "Homes", "Contest", "Turns", "Lane", "Hands",
    "Verdict", "Aside", "Adopt", "Conclu", "Letter", "Landed",
];

/// Words of a sentence that does not say who does what.
const VAGUE_WORDS: &[&str] = &["somebody", "nobody", "whoever", "anybody", "everybody"];

#[test]
fn comments_say_who_does_what() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let comment = line.trim_start().strip_prefix("//").unwrap_or_default().to_lowercase();
            let mut words = comment.split(|char: char| !char.is_alphanumeric());
            if let Some(word) = words.find(|word| VAGUE_WORDS.contains(word)) {
                complaints.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn types_have_names_of_the_glossary() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let names = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
            let kind = words.next()?;
            ["struct", "enum", "trait", "type"].contains(&kind).then(|| words.next())?
        });
        for name in names {
            if let Some(word) = PRIVATE_WORDS.iter().find(|word| name.contains(**word)) {
                complaints.push(format!("{path}: {name} has the private word {word}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
