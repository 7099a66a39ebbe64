//! No file of the crate imports upwards: the table below is the order, and `docs/architecture.md` says why.
//!
//! A module may name itself and what stands above it in the table (earlier in the list), so there can be no cycle. Paths
//! are looked for anywhere in the code, `#[cfg(test)]` parts included: a test that needs a higher layer is a test of
//! that layer. `lib.rs` and `main.rs` are exempt; everything else may not use the façade's re-exports (`crate::Mask`).

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the ground up. Within one, too, a module knows only those to its left.
const LAYERS: [(&str, &[&str]); 15] = [
    ("words", &["clock", "error", "mask", "ids", "event", "filter", "template", "user", "metrics"]),
    ("protocol", &["protocol"]),
    ("seams", &["transport", "auth", "outbound", "users"]),
    ("configuration", &["config"]),
    ("other issuers", &["issuers"]),
    ("groups", &["groups"]),
    ("hooks", &["hooks"]),
    ("webhooks", &["webhooks"]),
    ("monitor", &["monitor"]),
    ("session", &["session"]),
    ("http", &["http"]),
    ("composition", &["app"]),
    ("load generator", &["bench"]),
    ("command line", &["cli"]),
    ("fuzz targets", &["fuzzing"]),
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().flat_map(|(_, modules)| modules.iter()).position(|known| *known == module)
}

/// The code without comments and without the inside of string and character literals.
fn bare_code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if !code.ends_with(is_word) => raw_string(rest),
            '"' => string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the raw string that `text` begins with, or 0.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..].find(&end).map_or(text.len(), |found| body + found + end.len())
}

/// Bytes of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(end, _)| end + 1)
}

/// Bytes of the character literal that `text` begins with, or 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |end| end + 4),
        _ => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(end, _)| end + 1),
    }
}

/// What stands directly behind each `crate::`, groups in braces taken apart.
fn imported(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        // `$crate` and `some_crate` are not ours.
        if code[..start].ends_with(|c| is_word(c) || c == '$') {
            continue;
        }
        let behind = code[start + "crate::".len()..].trim_start();
        match behind.strip_prefix('{') {
            Some(group) => found.extend(heads_of_group(group)),
            None => found.push(behind.chars().take_while(|c| is_word(*c)).collect()),
        }
    }
    found
}

/// The first names of the paths in a brace group, whose opening brace is taken off already.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut at_head) = (vec![String::new()], 0, true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(String::new());
                at_head = true;
            }
            c if is_word(c) && at_head && depth == 0 => heads.last_mut().expect("begins with one").push(c),
            c if c.is_whitespace() => {}
            _ => at_head = false,
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// What is wrong with the imports of a file of `module`, one line each.
fn complaints(module: &str, text: &str) -> Vec<String> {
    let Some(own) = rank(module) else { return vec![format!("'{module}' is in no layer; tests/layers.rs lists them")] };
    let judge = |name: String| match rank(&name) {
        None => Some(format!("crate::{name} is no module; name the one that defines it, not the façade")),
        Some(other) if other > own => Some(format!("'{module}' imports upwards: crate::{name}")),
        Some(_) => None,
    };
    imported(&bare_code(text)).into_iter().filter_map(judge).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rust_files(&path, files),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
}

#[test]
fn no_file_imports_upwards() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    files.sort();
    let mut report = String::new();
    for file in &files {
        let relative = file.strip_prefix(&source).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" || module == "main" {
            continue;
        }
        for complaint in complaints(module, &fs::read_to_string(file).unwrap()) {
            writeln!(report, "src/{}: {complaint}", relative.display()).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}The cure is mostly a trait or a `Recipient`, not another order.");
}

#[test]
fn every_module_of_the_table_exists_and_docs_tell_the_same_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    for (layer, modules) in LAYERS {
        for module in modules {
            let (file, folder) = (root.join(format!("src/{module}.rs")), root.join(format!("src/{module}/mod.rs")));
            assert!(file.exists() || folder.exists(), "there is no module '{module}'");
        }
        let modules = modules.iter().map(|module| format!("`{module}`")).collect::<Vec<_>>().join(", ");
        let row = format!("| {layer} | {modules} |");
        assert!(page.contains(&row), "docs/architecture.md lacks the row: {row}");
    }
}

#[test]
fn imports_that_go_up_are_found_in_every_form() {
    let upwards = "'groups' imports upwards: crate::session";
    for text in [
        "use crate::session::Session;",
        "use crate::{ids::UserId, session::{Session, RawMode}};",
        "fn f() { crate::session::go() }",
        "pub(crate) use crate::session;",
        "#[cfg(test)]\nmod tests { use crate::session::Session; }",
        "const A: char = '\"'; use crate::session::A; const B: char = '\"';",
        "fn f<'a>(x: &'a str) -> crate::session::X<'a>;",
    ] {
        assert_eq!(complaints("groups", text), [upwards], "{text}");
    }
    let both = "use crate::{\n    hooks,\n    http::{Routes, Seats},\n};";
    assert_eq!(complaints("groups", both).len(), 2);
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    for text in [
        "//! See [`crate::session`].",
        "/* crate::session */ use crate::groups::hub::Hub;",
        "let text = \"crate::session \\\" crate::http\";",
        "let text = r#\"crate::session \" crate::http\"#;",
        "use crate::{ids::UserId, protocol::{session, http}};",
        "use other_crate::session::Session; macro_rules! m { () => { $crate::session::X } }",
    ] {
        assert_eq!(complaints("groups", text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn the_facade_and_unknown_modules_are_refused() {
    assert!(complaints("groups", "use crate::Mask;")[0].contains("no module"));
    assert!(complaints("broker", "")[0].contains("in no layer"));
}
