//! Mutations of JSON that stay JSON: nodes of the tree are exchanged, taken away, repeated, and their texts changed. Bytes changed at
//! random mostly break the syntax, and then only the parser is tried.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Texts in which parsers of policies and requests see something.
const PIECES: &[&str] = &[
    "*",
    "?",
    "${",
    "}",
    "${aws:username}",
    "${*}",
    ":",
    "/",
    "arn:",
    "kms:",
    "\u{0}",
    "\u{e9}",
    "\u{1f511}",
    "%",
    "=",
    "0",
    "-",
    " ",
    "\\",
];

/// What is behind the first line, if any, changed as a tree; nothing if it is no object.
pub(crate) fn mutated(input: &[u8], other: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let (line, mut tree) = split(input)?;
    let (_, other) = split(other).unwrap_or((&[], Value::Null));
    for _ in 0..=rng.u32(..).trailing_ones().min(3) {
        let at = rng.usize(..nodes(&tree));
        if let Some(node) = nth(&mut tree, &mut at.clone()) {
            change(node, &other, rng);
        }
    }
    Some([line, tree.to_string().as_bytes()].concat())
}

fn split(input: &[u8]) -> Option<(&[u8], Value)> {
    let start = match input.first()? {
        b'{' => 0,
        _ => 1 + input.iter().position(|&byte| byte == b'\n')?,
    };
    let (line, tree) = input.split_at(start);
    Some((line, serde_json::from_slice(tree).ok().filter(Value::is_object)?))
}

fn nodes(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

/// The node of that number, the tree itself being 0.
fn nth<'a>(tree: &'a mut Value, number: &mut usize) -> Option<&'a mut Value> {
    if *number == 0 {
        return Some(tree);
    }
    *number -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, number)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, number)),
        _ => None,
    }
}

fn some_node(tree: &Value, rng: &mut Rng) -> Value {
    let mut copy = tree.clone();
    let mut at = rng.usize(..nodes(tree));
    nth(&mut copy, &mut at).map_or(Value::Null, Value::take)
}

fn change(node: &mut Value, other: &Value, rng: &mut Rng) {
    match (rng.u8(..8), &mut *node) {
        (0 | 1, _) => *node = some_node(other, rng),
        (2, _) => *node = primitive(rng),
        (3, _) => *node = json!([node.take()]),
        (_, Value::String(text)) => change_text(text, rng),
        (_, Value::Array(items)) => match rng.choice(0..items.len()) {
            Some(at) if rng.bool() => drop(items.remove(at)),
            Some(at) => items.insert(at, items[at].clone()),
            None => items.push(some_node(other, rng)),
        },
        (_, Value::Object(members)) => change_members(members, other, rng),
        _ => *node = primitive(rng),
    }
}

fn change_members(members: &mut Map<String, Value>, other: &Value, rng: &mut Rng) {
    let name = rng.choice(members.keys()).cloned();
    match (rng.u8(..4), name) {
        (0, Some(name)) => drop(members.remove(&name)),
        (1, Some(name)) => {
            let mut renamed = name.clone();
            change_text(&mut renamed, rng);
            let member = members.remove(&name).unwrap_or_default();
            members.insert(renamed, member);
        }
        (2, Some(name)) => drop(members.insert(name, some_node(other, rng))),
        _ => {
            if let Value::Object(more) = some_node(other, rng) {
                members.extend(more);
            }
        }
    }
}

fn change_text(text: &mut String, rng: &mut Rng) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = rng.choice(places).unwrap_or(0);
    match rng.u8(..4) {
        0 => text.truncate(at),
        1 if at < text.len() => drop(text.remove(at)),
        2 => {
            let tail = text[at..].to_owned();
            text.insert_str(at, &tail);
            text.truncate(places_below(text, 4096));
        }
        _ => text.insert_str(at, rng.choice(PIECES).unwrap_or(&"*")),
    }
}

/// The greatest boundary between characters that is not past `most`.
fn places_below(text: &str, most: usize) -> usize {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).take_while(|&at| at <= most).last().unwrap_or(0)
}

fn primitive(rng: &mut Rng) -> Value {
    match rng.u8(..8) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(rng.i64(..)),
        3 => json!(-1),
        4 => json!(1e300),
        5 => json!(""),
        6 => json!([]),
        _ => json!({}),
    }
}
