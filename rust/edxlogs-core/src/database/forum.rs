//! Posts of a forum: a MongoDB document a line, as a row a thread, response or comment.
//!
//! Source: EdX Research Guide, "Discussion Forums Data".

use std::borrow::Cow;

use crate::database::builder::TableBuilder;
use crate::database::{Gather, Table};
use crate::error::Result;
use crate::frame::counts::Reason;
use crate::frame::types::{ColumnType, Value};
use crate::input::lines::LineBatch;
use crate::json::node::Node;

/// Reads the posts of one block.
pub struct ForumReader<'t, 'b> {
    table: &'t Table,
    builder: &'t mut TableBuilder<'b>,
}

impl<'t, 'b> ForumReader<'t, 'b> {
    /// A reader of posts.
    pub fn new(table: &'t Table, builder: &'t mut TableBuilder<'b>) -> Self {
        Self { table, builder }
    }

    /// Reads a block.
    ///
    /// # Errors
    /// Those of `consume`; `Internal`.
    pub fn read(mut self, block: &LineBatch, consume: Gather<'_>) -> Result<()> {
        self.builder.stats.bytes_expanded += block.expanded_bytes();
        let (mut line, mut offset) = (block.line, block.offset);
        for bytes in block.bytes().split_inclusive(|&byte| byte == b'\n') {
            let post = bytes.trim_ascii();
            if post.is_empty() {
                self.builder.stats.blank += 1;
            } else {
                self.line(bytes.strip_suffix(b"\n").unwrap_or(bytes), line, offset)?;
                self.builder.hand_on(consume)?;
            }
            line += 1;
            offset += bytes.len() as u64;
        }
        if let Some(long) = &block.long {
            self.builder.reject(&long.head, block.line, block.offset, Reason::TooLong);
        }
        Ok(())
    }

    fn line(&mut self, bytes: &[u8], line: u64, offset: u64) -> Result<()> {
        let text = String::from_utf8_lossy(bytes);
        match Node::parse(&text).map(Node::plain) {
            Ok(Node::Object(members)) => {
                self.builder.stats.utf8 += u64::from(matches!(text, Cow::Owned(_)));
                self.post(members);
                self.builder.end_row(line)
            }
            Ok(_) => {
                self.builder.reject(bytes, line, offset, Reason::NotAnObject);
                Ok(())
            }
            Err(_) => {
                self.builder.reject(bytes, line, offset, Reason::BadJson);
                Ok(())
            }
        }
    }

    fn post(&mut self, members: Vec<(Cow<'_, str>, Node<'_>)>) {
        let mut post = Node::Object(members);
        let kind = kind_of(&post);
        let votes = flatten_votes(&mut post);
        for (column, field) in self.table.columns.iter().enumerate() {
            let value = match field.name.as_str() {
                "kind" => {
                    let kind = kind.map(Cow::Borrowed).map_or(Value::Null, Value::Text);
                    self.builder.push(column, kind);
                    continue;
                }
                name => post.get(name).or_else(|| votes.get(name)),
            };
            if let ("course_id", Some(course)) = (field.name.as_str(), value.and_then(Node::as_str))
            {
                self.builder.stats.note_course(course, 1);
            }
            self.set(column, field.column_type, value);
        }
        if let Node::Object(members) = &mut post {
            members.retain(|(name, _)| {
                name == "kind" || !self.table.columns.iter().any(|column| column.name == **name)
            });
            if !members.is_empty() {
                self.builder.push_extra_json(&post.to_json());
            }
        }
    }

    fn set(&mut self, column: usize, column_type: ColumnType, value: Option<&Node<'_>>) {
        let text = match (value, column_type) {
            (None | Some(Node::Null), _) => {
                self.builder.push(column, Value::Null);
                return;
            }
            (Some(value), ColumnType::Json) => Cow::Owned(value.to_json()),
            (Some(Node::String(text)), _) => Cow::Borrowed(&**text),
            // JavaScript knows no other numbers.
            (Some(Node::Number(number)), ColumnType::Int64) => {
                Cow::Borrowed(number.strip_suffix(".0").unwrap_or(number))
            }
            (Some(value), _) => Cow::Owned(value.to_json()),
        };
        self.builder.push_text(column, text);
    }
}

/// Whether a post opens a thread, responds to one, or comments on a response.
fn kind_of(post: &Node<'_>) -> Option<&'static str> {
    match post.get("_type").and_then(Node::as_str)? {
        "CommentThread" => Some("thread"),
        "Comment" => {
            let has_parent = post.get("parent_id").is_some_and(|parent| *parent != Node::Null);
            let has_parents = !post.get("parent_ids").map_or(&[][..], Node::items).is_empty();
            Some(if has_parent || has_parents { "comment" } else { "response" })
        }
        _ => None,
    }
}

/// Takes what has columns out of `votes`: who voted which way, and how many; the rest stays.
fn flatten_votes<'a>(post: &mut Node<'a>) -> Node<'a> {
    let mut taken = Vec::new();
    if let Node::Object(members) = post {
        for (name, value) in members.iter_mut() {
            if name != "votes" {
                continue;
            }
            if let Node::Object(votes) = value {
                votes.retain(|(name, value)| {
                    let column = match &**name {
                        "up" => "votes_up",
                        "down" => "votes_down",
                        "up_count" => "votes_up_count",
                        "down_count" => "votes_down_count",
                        _ => return true,
                    };
                    taken.push((Cow::Borrowed(column), value.clone()));
                    false
                });
            }
        }
        members.retain(|(name, value)| name != "votes" || *value != Node::Object(Vec::new()));
    }
    Node::Object(taken)
}
