//! Nothing stands in `docs/compatibility.md` as working without a test that exists.
//!
//! Tests are named there as `file::name`, where the file is the end of a path that is found once under `tests` and `src`.
//! Those of the SDKs are run by `tests/clients/run`, the others by `cargo test`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where tests are. `node_modules` has tests of others, and files that have the names of ours.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("tests"), root.join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("node_modules") => {}
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// What the language of a file writes before and behind the name of a test.
fn is_defined_in(text: &str, file: &str, name: &str) -> bool {
    match file.rsplit_once('.').map(|(_, language)| language) {
        Some("rs") => text.contains(&format!("fn {name}(")),
        Some("py") => text.contains(&format!("def {name}(")),
        Some("js") => text.contains(&format!("test(\"{name}\",")),
        _ => false,
    }
}

/// What is wrong with a test that the page names, if anything is.
fn mistake(reference: &str, sources: &[PathBuf]) -> Option<String> {
    let (file, name) = reference.split_once("::")?;
    let mut fitting = sources.iter().filter(|path| path.ends_with(file));
    let (Some(path), None) = (fitting.next(), fitting.next()) else {
        return Some(format!("`{reference}`: not exactly one file is called '{file}'"));
    };
    let text = fs::read_to_string(path).unwrap();
    (!is_defined_in(&text, file, name)).then(|| format!("`{reference}`: there is no such test"))
}

/// The code spans of a line that name a test.
fn references(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|span| span.contains("::") && span.contains('.'))
}

/// The rows of the tables that have a column `shown by`, with their numbers; not their heads.
fn rows(page: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(page.lines()) {
        match line {
            _ if !line.starts_with('|') => inside = false,
            _ if line.ends_with("| shown by |") => inside = true,
            _ if inside && !line.starts_with("| ---") => rows.push((number, line)),
            _ => {}
        }
    }
    rows
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md")).unwrap()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let (page, sources) = (page(), sources());
    let mistakes: Vec<_> = page.lines().flat_map(references).filter_map(|found| mistake(found, &sources)).collect();
    assert!(mistakes.is_empty(), "docs/compatibility.md:\n{}", mistakes.join("\n"));
}

#[test]
fn every_row_of_the_page_names_a_test() {
    let page = page();
    let rows = rows(&page);
    assert!(rows.len() > 90, "only {} rows were found", rows.len());
    for (number, row) in rows {
        assert!(references(row).next().is_some(), "docs/compatibility.md:{number} names no test:\n{row}");
    }
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let sources = sources();
    assert_eq!(mistake("compatibility_doc.rs::a_test_that_does_not_exist_is_found", &sources), None);
    assert!(mistake("compatibility_doc.rs::another", &sources).is_some());
    assert!(mistake("no_such_file.rs::a_test", &sources).is_some());
    assert!(mistake("mod.rs::a_test", &sources).is_some(), "many files are called so");
}
