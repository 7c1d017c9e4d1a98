//! Which file of a crate uses which, from the paths in their text.
//!
//! A path counts for the file that defines the item, whichever module hands it on. What macros
//! contain is not read, nor are tests.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, ItemUse, UseTree, visit::Visit};

/// Names that a path may lead through; two modules may bring in all of each other.
const DEPTH: usize = 20;

/// A file of a crate, with its module.
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    /// Names that the file defines.
    items: HashSet<String>,
    /// Names that it brings in, with the paths behind them.
    imports: HashMap<String, Vec<String>>,
    /// Modules of which it brings in everything.
    globs: Vec<Vec<String>>,
    /// Every path of the file.
    paths: BTreeSet<Vec<String>>,
    tree: syn::File,
}

/// The modules of one crate; the first is its root.
pub struct Crate {
    modules: Vec<Module>,
}

/// What a path leads to.
enum Target {
    Module(usize),
    /// An item, by the module that defines it.
    Item(usize),
}

impl Crate {
    /// Reads a crate from its root file on.
    pub fn read(root: &Path) -> Self {
        let mut all = Self { modules: Vec::new() };
        all.add(root.to_owned(), root.parent().unwrap(), None);
        for at in 0..all.modules.len() {
            let mut paths = Paths::default();
            paths.visit_file(&all.modules[at].tree);
            all.modules[at].paths = paths.found;
        }
        all
    }

    /// Adds a file and the files of its modules, which stand in `folder`.
    fn add(&mut self, file: PathBuf, folder: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(&file).unwrap();
        let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let at = self.modules.len();
        let mut declared = Vec::new();
        let mut module = Module {
            file,
            parent,
            children: HashMap::new(),
            items: HashSet::new(),
            imports: HashMap::new(),
            globs: Vec::new(),
            paths: BTreeSet::new(),
            tree,
        };
        for item in &module.tree.items {
            match item {
                Item::Mod(item) if is_test(&item.attrs) => {}
                Item::Mod(item) if item.content.is_none() => declared.push(item.ident.to_string()),
                Item::Use(item) => {
                    for (name, path) in leaves(item) {
                        match name {
                            Some(name) => drop(module.imports.insert(name, path)),
                            None => module.globs.push(path),
                        }
                    }
                }
                item => module.items.extend(name_of(item)),
            }
        }
        self.modules.push(module);
        for name in declared {
            let (single, inside) = (folder.join(format!("{name}.rs")), folder.join(&name));
            let file = if single.exists() { single } else { inside.join("mod.rs") };
            let child = self.add(file, &inside, Some(at));
            self.modules[at].children.insert(name, child);
        }
        at
    }

    /// Where a path leads that is written in a module; `None` when it leads out of the crate.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Target> {
        let depth = depth.checked_sub(1)?;
        let mut at = from;
        let mut rest = path;
        while let Some((first, behind)) = rest.split_first() {
            match first.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = self.modules[at].parent?,
                _ => break,
            }
            rest = behind;
        }
        let Some((name, behind)) = rest.split_first() else { return Some(Target::Module(at)) };
        match self.named(at, name, depth)? {
            Target::Module(module) => self.resolve(module, behind, depth),
            item => Some(item),
        }
    }

    fn named(&self, at: usize, name: &str, depth: usize) -> Option<Target> {
        let module = &self.modules[at];
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        if module.items.contains(name) {
            return Some(Target::Item(at));
        }
        // `use name::…` may name a crate.
        if let Some(path) = module.imports.get(name).filter(|path| path[0] != name) {
            return self.resolve(at, path, depth);
        }
        let in_glob = |path: &Vec<String>| match self.resolve(at, path, depth)? {
            Target::Module(module) if module != at => self.named(module, name, depth),
            _ => None,
        };
        module.globs.iter().find_map(in_glob)
    }

    /// From each file the files whose items it uses.
    pub fn arrows(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (at, module) in self.modules.iter().enumerate() {
            for path in &module.paths {
                if let Some(Target::Item(to)) = self.resolve(at, path, DEPTH)
                    && to != at
                {
                    arrows.entry(&module.file).or_default().insert(&self.modules[to].file);
                }
            }
        }
        arrows
    }

    /// By file, the first words of paths that lead out of the crate: other crates are among them.
    pub fn outside(&self) -> impl Iterator<Item = (&Path, BTreeSet<&str>)> {
        self.modules.iter().enumerate().map(|(at, module)| {
            let words = module.paths.iter().map(|path| path[0].as_str());
            let leads_out = |word: &&str| self.named(at, word, DEPTH).is_none();
            (module.file.as_path(), words.filter(leads_out).collect())
        })
    }
}

/// The arrows that lie on circles.
pub fn circles<'a>(
    arrows: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
) -> BTreeSet<(&'a Path, &'a Path)> {
    let reaches = |from: &'a Path, to: &'a Path| {
        let (mut seen, mut open) = (BTreeSet::from([from]), vec![from]);
        while let Some(file) = open.pop() {
            if file == to {
                return true;
            }
            let next = arrows.get(file).into_iter().flatten();
            open.extend(next.filter(|next| seen.insert(next)));
        }
        false
    };
    let all = arrows.iter().flat_map(|(from, to)| to.iter().map(|to| (*from, *to)));
    all.filter(|(from, to)| reaches(to, from)).collect()
}

/// The paths of a file outside of tests.
#[derive(Default)]
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            // What a module hands on it does not use.
            Item::Use(item) if !matches!(item.vis, syn::Visibility::Inherited) => return,
            Item::Use(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.found.extend(leaves(item).into_iter().map(|(_, path)| path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // One word names a variable, or what a `use` has brought in.
        if path.segments.len() > 1 {
            let words = path.segments.iter().map(|segment| segment.ident.to_string());
            self.found.insert(words.collect());
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && list.is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

/// The names that a `use` brings in, each with its path; no name: everything in the path.
fn leaves(item: &ItemUse) -> Vec<(Option<String>, Vec<String>)> {
    fn walk(tree: &UseTree, above: &[String], found: &mut Vec<(Option<String>, Vec<String>)>) {
        let with = |name: &syn::Ident| [above, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(&path.ident), found),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((above.last().cloned(), above.to_vec()));
            }
            UseTree::Name(name) => found.push((Some(name.ident.to_string()), with(&name.ident))),
            UseTree::Rename(rename) => {
                found.push((Some(rename.rename.to_string()), with(&rename.ident)));
            }
            UseTree::Glob(_) => found.push((None, above.to_vec())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, above, found)),
        }
    }
    let mut found = Vec::new();
    walk(&item.tree, &[], &mut found);
    found
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
