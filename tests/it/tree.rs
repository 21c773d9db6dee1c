//! What ships beside the code: example configurations, and habits that every source file keeps.

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
