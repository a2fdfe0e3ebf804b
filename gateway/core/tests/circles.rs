//! No two files of the core, and none of its shell, import each other, directly or in a circle.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules below a folder, by their paths as `use` names them.
fn modules(root: &Path, folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modules(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::");
            // Tests look at whatever they test.
            if !name.contains("tests") && name != "lib" {
                found.insert(name, path);
            }
        }
    }
}

/// What `use` names: `a::{b, c::d}` are `a::b` and `a::c::d`.
fn names(of: &str) -> Vec<String> {
    let Some((head, rest)) = of.split_once('{') else { return vec![of.to_owned()] };
    // Not a `use` after all.
    let Some((inner, _)) = rest.rsplit_once('}') else { return Vec::new() };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for character in inner.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        if character == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(character);
        }
    }
    parts.iter().filter(|part| !part.is_empty()).flat_map(|part| names(&format!("{head}{part}"))).collect()
}

/// The modules that a module imports from.
fn imports(module: &str, source: &str, modules: &BTreeMap<String, PathBuf>) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let begins = |at: &usize| {
        let line = code[..*at].rsplit('\n').next().unwrap();
        line.trim().is_empty() || line.trim().starts_with("pub")
    };
    let used = code.match_indices("use ").map(|(at, _)| at).filter(begins);
    let used = used.filter_map(|at| code[at + 4..].split_once(';')).map(|(used, _)| used);
    let used = used.flat_map(|used| names(&used.split_whitespace().collect::<String>()));
    let absolute = used.filter_map(|name| {
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        name.strip_prefix("crate::")
            .map(str::to_owned)
            .or_else(|| Some(format!("{parent}::{}", name.strip_prefix("super::")?)))
    });
    let of = |name: String| {
        let mut name = name.trim_start_matches("::").to_owned();
        while !modules.contains_key(&name) {
            name.truncate(name.rfind("::")?);
        }
        Some(name).filter(|name| name != module)
    };
    absolute.filter_map(of).collect()
}

fn first_circle(root: &str) -> Option<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut files = BTreeMap::new();
    modules(&root, &root, &mut files);
    assert!(files.len() > 5, "{files:?}");
    let source = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> =
        files.iter().map(|(module, path)| (module.clone(), imports(module, &source(path), &files))).collect();
    // Whoever imports nothing that is left is in no circle.
    while let Some(leaf) = graph.iter().find(|(_, imports)| imports.is_empty()).map(|(module, _)| module.clone()) {
        graph.remove(&leaf);
        for imports in graph.values_mut() {
            imports.remove(&leaf);
        }
    }
    (!graph.is_empty()).then(|| graph.into_keys().collect())
}

#[test]
fn no_files_of_the_core_import_each_other_in_a_circle() {
    assert_eq!(first_circle("src"), None);
}

#[test]
fn no_files_of_its_shell_import_each_other_in_a_circle() {
    assert_eq!(first_circle("../src/chat"), None);
}

#[test]
fn the_core_depends_on_nothing_that_waits() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for name in ["tokio", "tonic", "tracing", "metrics", "opentelemetry", "async-nats", "service-kit"] {
        assert!(!dependencies.contains(&format!("\n{name}")), "{name}");
    }
    assert!(dependencies.contains("default-features = false"), "proto comes without gRPC");
}
