//! The structure of a course, one JSON object of blocks by their usage keys, as a row a block.
//!
//! A block tells its children; parents follow from that. The first parent in the document counts
//! where there are several; a block that no path leads to from the course has no depth.
//!
//! Source: EdX Research Guide, "Course Content Data".

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use crate::database::Table;
use crate::database::builder::TableBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::counts::Reason;
use crate::frame::types::Value;
use crate::json::node::Node;

/// Largest document that is read, in bytes. It is held whole: parents may follow their children.
pub const MAX_DOCUMENT_BYTES: u64 = 128 * 1024 * 1024;

/// Objects of a document, at most: a course has some ten thousand blocks of two or three each.
const MOST_OBJECTS: usize = 500_000;

/// Deepest path that is followed: a course has some ten levels, and a circle has no end.
const MAX_LEVELS: usize = 64;

/// A block of a course.
struct CourseBlock<'a> {
    key: &'a str,
    node: &'a Node<'a>,
    category: Option<&'a str>,
    /// First parent and place among its children.
    parent: Option<(usize, usize)>,
}

/// Reads a document whole.
///
/// # Errors
/// Those of reading; `Format` when it is too long, no UTF-8, or no JSON object.
pub fn read(input: &mut dyn Read, table: &Table, builder: &mut TableBuilder<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    input.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes)?;
    builder.stats.bytes_expanded = bytes.len() as u64;
    let no_structure = |why: &str| {
        let why = format!("{why}; it is not the structure of a course");
        Error::new(ErrorKind::Format(why))
    };
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(no_structure("it is too long"));
    }
    if memchr::memchr_iter(b'{', &bytes).count() > MOST_OBJECTS {
        return Err(no_structure("it holds more objects than a course has blocks"));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&bytes);
    builder.stats.utf8 += u64::from(matches!(text, Cow::Owned(_)));
    let Ok(Node::Object(members)) = Node::parse(&text) else {
        return Err(no_structure("it is not a JSON object"));
    };
    let mut blocks = Vec::with_capacity(members.len());
    for (at, (key, node)) in members.iter().enumerate() {
        if !matches!(node, Node::Object(_)) {
            let row = node.to_json();
            builder.reject(row.as_bytes(), at as u64 + 1, 0, Reason::NotAnObject);
            continue;
        }
        let category = node.get("category").and_then(Node::as_str);
        if let Some(course) = course_of(key) {
            builder.stats.note_course(&course, 1);
        }
        blocks.push((at, CourseBlock { key, node, category, parent: None }));
    }
    let places: Vec<usize> = blocks.iter().map(|(at, _)| *at).collect();
    let mut blocks: Vec<CourseBlock<'_>> = blocks.into_iter().map(|(_, block)| block).collect();
    find_parents(&mut blocks);
    for (at, place) in places.iter().enumerate() {
        push_block(&blocks, at, table, builder);
        builder.end_row(*place as u64 + 1)?;
    }
    Ok(())
}

fn find_parents(blocks: &mut [CourseBlock<'_>]) {
    let index: HashMap<&str, usize> =
        blocks.iter().enumerate().map(|(at, block)| (block.key, at)).collect();
    for parent in 0..blocks.len() {
        let node = blocks[parent].node;
        let children = node.get("children").map_or(&[][..], Node::items);
        for (position, child) in children.iter().filter_map(Node::as_str).enumerate() {
            if let Some(&child) = index.get(child)
                && blocks[child].parent.is_none()
            {
                blocks[child].parent = Some((parent, position));
            }
        }
    }
}

/// A block and those above it, the topmost first.
fn path_to(blocks: &[CourseBlock<'_>], at: usize) -> Vec<usize> {
    let mut path = vec![at];
    let mut top = at;
    while let Some((parent, _)) = blocks[top].parent {
        if path.len() == MAX_LEVELS || path.contains(&parent) {
            break;
        }
        path.push(parent);
        top = parent;
    }
    path.reverse();
    path
}

fn push_block(
    blocks: &[CourseBlock<'_>],
    at: usize,
    table: &Table,
    builder: &mut TableBuilder<'_>,
) {
    let block = &blocks[at];
    let path = path_to(blocks, at);
    let is_in_course = blocks[path[0]].category == Some("course");
    let metadata = block.node.get("metadata").unwrap_or(&Node::Null);
    let list = |items: Vec<Node<'_>>| Some(Cow::Owned(Node::Array(items).to_json()));
    let name_of = |at: usize| blocks[at].node.get("metadata").and_then(|m| m.get("display_name"));
    for (column, field) in table.columns.iter().enumerate() {
        let text: Option<Cow<'_, str>> = match field.name.as_str() {
            "usage_key" => Some(block.key.into()),
            "block_type" => type_of(block.key).or(block.category).map(Cow::Borrowed),
            "category" => block.category.map(Cow::Borrowed),
            "parent" => block.parent.map(|(parent, _)| blocks[parent].key.into()),
            "position" => block.parent.map(|(_, position)| position.to_string().into()),
            "depth" => is_in_course.then(|| (path.len() - 1).to_string().into()),
            "path" => list(path.iter().map(|&at| Node::String(blocks[at].key.into())).collect()),
            "path_names" => {
                list(path.iter().map(|&at| name_of(at).cloned().unwrap_or(Node::Null)).collect())
            }
            category @ ("chapter" | "sequential" | "vertical") => {
                let above = path.iter().rev().find(|&&at| blocks[at].category == Some(category));
                above.map(|&at| blocks[at].key.into())
            }
            "children" => {
                Some(block.node.get("children").map_or("[]".into(), |c| c.to_json().into()))
            }
            "metadata" => Some(metadata.to_json().into()).filter(|_| *metadata != Node::Null),
            name => scalar(metadata.get(name)),
        };
        match text {
            None => builder.push(column, Value::Null),
            Some(text) => builder.push_text(column, text),
        }
    }
    if let Node::Object(members) = block.node {
        let mut extra = members.clone();
        extra.retain(|(name, _)| !matches!(&**name, "category" | "children" | "metadata"));
        if !extra.is_empty() {
            builder.push_extra_json(&Node::Object(extra).to_json());
        }
    }
}

/// A value as text: what is no text as JSON.
fn scalar<'a>(value: Option<&'a Node<'_>>) -> Option<Cow<'a, str>> {
    match value? {
        Node::Null => None,
        Node::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_json())),
    }
}

/// The course that a usage key names, if it names one whole.
fn course_of(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix("ccx-block-v1:") {
        return rest.split_once("+type@").map(|(course, _)| format!("ccx-v1:{course}"));
    }
    if let Some(rest) = key.strip_prefix("block-v1:") {
        return rest.split_once("+type@").map(|(course, _)| format!("course-v1:{course}"));
    }
    // Old keys hold no run but where the block is the course itself.
    let parts: Vec<&str> = key.strip_prefix("i4x://")?.split('/').collect();
    match parts[..] {
        [org, course, "course", run] => Some(format!("{org}/{course}/{run}")),
        _ => None,
    }
}

/// The type of block that a usage key names.
fn type_of(key: &str) -> Option<&str> {
    if let Some((_, rest)) = key.split_once("+type@") {
        return rest.split('+').next();
    }
    key.strip_prefix("i4x://")?.split('/').nth(2)
}
