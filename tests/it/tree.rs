//! What ships beside the code: example configurations, and habits that every source file keeps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

#[test]
fn every_example_configuration_is_in_order() {
    let mut examples = Vec::new();
    files_below(&root().join("config"), ".toml", &mut examples);
    assert!(!examples.is_empty());
    for example in examples {
        let output = Command::new(env!("CARGO_BIN_EXE_claviger")).args(["config", "check"]).arg(&example).output().unwrap();
        assert!(output.status.success(), "{}: {}", example.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_unknown_field_is_refused_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    let example = std::fs::read_to_string(root().join("config/node.toml")).unwrap();
    let line = 1 + example.lines().position(|line| line == "[raft]" || line.starts_with("[raft] ")).unwrap();
    std::fs::write(&path, example.replace("heartbeat_ms = 100", "heartbeat = 100")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_claviger")).args(["config", "check"]).arg(&path).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(message.contains(&format!("node.toml:{}: unknown field `heartbeat`", line + 1)), "{message}");
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut sources = Vec::new();
    for dir in ["src", "tests"] {
        files_below(&root().join(dir), ".rs", &mut sources);
    }
    for source in sources {
        let text = std::fs::read_to_string(&source).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", source.display());
    }
}

#[test]
fn no_document_has_a_gap_left_in_it() {
    let mut documents = vec![root().join("README.md")];
    files_below(&root().join("docs"), ".md", &mut documents);
    assert!(documents.len() > 1);
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let gap = text.lines().position(|line| line.contains("@@"));
        assert!(gap.is_none(), "{}:{} has a placeholder", document.display(), gap.unwrap() + 1);
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_exists() {
    let mut sources = Vec::new();
    files_below(&root().join("src"), ".rs", &mut sources);
    let mut reported = BTreeSet::new();
    for source in sources {
        // A name is a whole string; names of crates never are.
        let text = std::fs::read_to_string(source).unwrap();
        for (at, _) in text.match_indices("\"claviger_") {
            let name = text[at + 1..].split('"').next().unwrap();
            if is_metric(name) {
                reported.insert(name.to_owned());
            }
        }
    }
    let text = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    // In code spans, with or without labels.
    let spans = text.split('`').filter(|span| span.starts_with("claviger_") && !span.contains('='));
    let documented: BTreeSet<String> = spans.flat_map(names_in).collect();
    assert!(documented.iter().all(|name| is_metric(name)), "{documented:?}");
    assert!(reported.len() > 10, "{reported:?}");
    let missing: Vec<_> = reported.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&reported).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not documented: {missing:?}; not in the code: {unknown:?}");
}

fn is_metric(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// `a_{b,c}_d{label}` is `a_b_d` and `a_c_d`.
fn names_in(span: &str) -> Vec<String> {
    let Some((before, rest)) = span.split_once('{') else { return vec![span.to_owned()] };
    if !before.ends_with('_') {
        return vec![before.to_owned()];
    }
    let (choices, after) = rest.split_once('}').unwrap_or_else(|| panic!("`{span}` does not close"));
    choices.split(',').flat_map(|choice| names_in(&format!("{before}{choice}{after}"))).collect()
}
