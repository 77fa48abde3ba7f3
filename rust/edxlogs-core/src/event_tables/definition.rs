//! Definitions of tables of events, as a document of JSON says them.
//!
//! The document is made of the definitions that people read, after these were checked; whatever is
//! wrong with it here is a defect of this program.

use crate::error::{Error, Result};
use crate::frame::names::names;
use crate::frame::types::{Column, ColumnType, Hint, Role};
use crate::json::node::Node;
use crate::json::path::Segment;
use crate::time;

use super::decode::Flag;

names! {
    /// How the rows of a table belong to events.
    TableKind {
        /// One row for each event that the table is the home of.
        Home = "home",
        /// None, one or several rows for an event of another table.
        Children = "children",
        /// One row for each event of its types, beside that of their home.
        Apart = "apart",
    }
}

names! {
    /// How values become those of a column.
    Decoder {
        /// Text bare, anything else as compact JSON text.
        Text = "text",
        /// Text; anything else is null.
        OnlyText = "only text",
        /// Any value as compact JSON text.
        Json = "json",
        /// Text; of a list its texts, or `text` of its objects, a line each.
        Lines = "lines",
        /// Text, or the first item of a list that is text.
        FirstText = "first text",
        /// A number, or text that is wholly one.
        Number = "number",
        /// A truth value, as text too, 1 and 0.
        Bool = "bool",
        /// A time.
        Time = "time",
        /// How many items a list has.
        Length = "length",
        /// How many characters a text has.
        Chars = "chars",
        /// Whether a key of an object is there and not null.
        IsSet = "is set",
        /// Whether an object, list or text holds anything.
        NotEmpty = "not empty",
        /// Names of the keys of an object.
        Keys = "keys",
        /// The sum over the items of a list.
        Sum = "sum",
        /// The text of an answer to an open question.
        Answer = "answer",
        /// How many parts that has.
        AnswerParts = "answer parts",
        /// How many characters.
        AnswerChars = "answer chars",
        /// How many files a list, or a text, names.
        Files = "files",
        /// Four columns of a block.
        BlockId = "block id",
        /// The second of two keys of blocks.
        SecondKey = "second key",
        /// The username before the comma of a bookmark's id.
        Owner = "owner",
        /// The path of an address.
        UrlPath = "url path",
        /// Whether a name begins with `edx.`.
        DottedName = "dotted name",
        /// `mobile` if a value is, else `browser`.
        Player = "player",
        /// The word proctored, practice or timed in a name.
        ExamKind = "exam kind",
        /// The kind that the spelling of the act says.
        Kind = "kind",
        /// How many inputs an object has.
        Inputs = "inputs",
        /// How many inputs of a correct_map are correct.
        CorrectInputs = "correct inputs",
        /// How many inputs of a correct_map are partly so.
        PartialInputs = "partial inputs",
        /// How many inputs the payload's form has.
        FormInputs = "form inputs",
        /// Whether the subject is not the actor.
        ByOther = "by other",
        /// The whole payload.
        Payload = "payload",
        /// How many characters its text has.
        PayloadChars = "payload chars",
        /// What the address of a request asks for, in several columns.
        Request = "request",
        /// The user id in the address of a request.
        LookupId = "lookup id",
        /// The key of a row as that of an input, in three columns.
        InputId = "input id",
        /// The key of a row.
        RowKey = "row key",
        /// Its number in its list, from 1.
        ItemNumber = "item number",
        /// The marks of the places that hold the key of the row.
        FoundIn = "found in",
        /// The mark of the place of the row.
        Place = "place",
    }
}

impl Decoder {
    /// Whether it takes values from paths; others take the event or the row as such.
    pub(super) fn reads_paths(self) -> bool {
        !matches!(
            self,
            Self::Kind
                | Self::FormInputs
                | Self::ByOther
                | Self::Payload
                | Self::PayloadChars
                | Self::Request
                | Self::LookupId
                | Self::InputId
                | Self::RowKey
                | Self::ItemNumber
                | Self::FoundIn
                | Self::Place
        )
    }
}

/// A step of a path; `Each` stands for the row of a table of children.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    At(Segment),
    Each,
}

/// A path into an event.
pub(super) type PathSteps = Vec<Step>;

/// The values that a column takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NoValue {
    Text(String),
    Number(f64),
}

/// A column of a table, or some that one value fills.
#[derive(Clone, Debug)]
pub(super) struct ColumnDefinition {
    pub decoder: Decoder,
    /// Paths for acts of which nothing else is said.
    pub otherwise: Vec<PathSteps>,
    /// By act or kind, the paths that hold then.
    pub instead: Vec<(String, Vec<PathSteps>)>,
    /// Of a sum, paths within an item.
    pub items: Vec<Vec<Segment>>,
    pub minimum: f64,
    pub maximum: f64,
    pub nulls: Vec<NoValue>,
    pub needs: String,
    pub unequal_to: String,
    /// Acts or kinds that need a value.
    pub required: Vec<String>,
    pub flag: Option<Flag>,
    /// Acts or kinds that come with a form.
    pub forms: Vec<String>,
    /// What it fills.
    pub fields: Vec<Column>,
    pub is_free_text: bool,
}

impl ColumnDefinition {
    /// The paths for an act of a kind, in order.
    pub fn paths(&self, action: &str, kind: &str) -> &[PathSteps] {
        let of = |name: &str| self.instead.iter().find(|(its, _)| its == name);
        let found = of(action).or_else(|| of(kind).filter(|_| !kind.is_empty()));
        found.map_or(&self.otherwise, |(_, paths)| paths)
    }
}

/// How an act is spelled.
#[derive(Clone, Debug)]
pub(super) struct ActionDefinition {
    pub name: String,
    pub types: Vec<String>,
    /// The `event_source` that it has; empty for any that has no rule of its own.
    pub source: String,
    /// Where a value must stand.
    pub has: Option<PathSteps>,
    pub kind: String,
}

/// Acts that get a flag: where all that is said of them holds.
#[derive(Clone, Debug)]
pub(super) struct FlagDefinition {
    pub flag: Flag,
    pub actions: Vec<String>,
    /// Microseconds since 1970, included.
    pub since: Option<i64>,
    /// Likewise, not included.
    pub until: Option<i64>,
    pub source: String,
    pub has: Option<PathSteps>,
}

/// Where the rows of a table of children stand.
#[derive(Clone, Debug)]
pub(super) struct PlaceDefinition {
    /// The path to what holds them.
    pub path: PathSteps,
    pub mark: String,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct TableDefinition {
    pub name: String,
    pub kind: TableKind,
    pub parent: String,
    pub action_is_type: bool,
    pub actions: Vec<ActionDefinition>,
    pub columns: Vec<ColumnDefinition>,
    pub flags: Vec<FlagDefinition>,
    pub places: Vec<PlaceDefinition>,
    /// Endings of keys that are no rows.
    pub without: Vec<String>,
    /// Names of the first columns, in order.
    pub spine: Vec<String>,
}

/// A document: the home of each type, and the tables.
pub(super) struct Document {
    pub homes: Vec<(String, String)>,
    pub tables: Vec<TableDefinition>,
}

impl Document {
    /// Reads it.
    ///
    /// # Errors
    /// `Internal` for what is none.
    pub fn read(text: &str) -> Result<Self> {
        let node = Node::parse(text).map_err(|_| wrong("no JSON"))?;
        let Some(Node::Object(homes)) = node.get("homes") else {
            return Err(wrong("homes"));
        };
        let homes = homes.iter().map(|(name, table)| Ok((name.to_string(), text_of(table)?)));
        Ok(Self {
            homes: homes.collect::<Result<_>>()?,
            tables: each(&node, "tables", TableDefinition::read)?,
        })
    }
}

fn wrong(what: &str) -> Error {
    Error::internal(format!("a definition of tables of events: {what}"))
}

fn text_of(node: &Node<'_>) -> Result<String> {
    node.as_str().map(str::to_owned).ok_or_else(|| wrong("a text is missing"))
}

/// The text of a member; empty where there is none.
fn text(node: &Node<'_>, key: &str) -> Result<String> {
    match node.get(key) {
        None | Some(Node::Null) => Ok(String::new()),
        Some(value) => text_of(value),
    }
}

fn is(node: &Node<'_>, key: &str) -> bool {
    node.get(key) == Some(&Node::Bool(true))
}

fn number(node: &Node<'_>, key: &str, otherwise: f64) -> f64 {
    match node.get(key) {
        Some(Node::Number(number)) => number.parse().unwrap_or(otherwise),
        _ => otherwise,
    }
}

/// What `read` makes of each item of a list.
fn each<T>(node: &Node<'_>, key: &str, read: impl Fn(&Node<'_>) -> Result<T>) -> Result<Vec<T>> {
    node.get(key).map_or(&[][..], Node::items).iter().map(read).collect()
}

fn named<T>(what: &str, name: &str, of: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    of(name).ok_or_else(|| wrong(&format!("{what}: '{name}' is not known")))
}

/// What `read` makes of a member that may be missing.
fn optional<T>(
    node: &Node<'_>,
    key: &str,
    read: impl Fn(&Node<'_>) -> Result<T>,
) -> Result<Option<T>> {
    match node.get(key) {
        None | Some(Node::Null) => Ok(None),
        Some(Node::String(text)) if text.is_empty() => Ok(None),
        Some(value) => read(value).map(Some),
    }
}

fn path(node: &Node<'_>) -> Result<PathSteps> {
    let step = |node: &Node<'_>| match node {
        Node::Null => Ok(Step::Each),
        other => segment(other).map(Step::At),
    };
    let steps: PathSteps = node.items().iter().map(step).collect::<Result<_>>()?;
    if steps.is_empty() { Err(wrong("a path is empty")) } else { Ok(steps) }
}

fn segment(node: &Node<'_>) -> Result<Segment> {
    match node {
        Node::String(key) => Ok(Segment::Key(key.to_string())),
        Node::Number(item) => item.parse().map(Segment::Index).map_err(|_| wrong("a step")),
        _ => Err(wrong("a step")),
    }
}

fn day(node: &Node<'_>) -> Result<i64> {
    time::parse_bound(&text_of(node)?).ok_or_else(|| wrong("a day"))
}

fn column_type(name: &str) -> Option<ColumnType> {
    if name == "string" { Some(ColumnType::Text) } else { ColumnType::named(name) }
}

impl TableDefinition {
    fn read(node: &Node<'_>) -> Result<Self> {
        let name = text(node, "name")?;
        let named_pair = |node: &Node<'_>| node.items().first().map_or(Err(wrong("")), text_of);
        Ok(Self {
            kind: named("kind", &text(node, "kind")?, TableKind::named)?,
            parent: text(node, "parent")?,
            action_is_type: is(node, "action_is_type"),
            actions: each(node, "actions", ActionDefinition::read)?,
            columns: each(node, "columns", ColumnDefinition::read)?,
            flags: each(node, "flags", FlagDefinition::read)?,
            places: each(node, "rows", PlaceDefinition::read)?,
            without: each(node, "without", text_of)?,
            spine: each(node, "spine", named_pair)?,
            name,
        })
    }
}

impl ActionDefinition {
    fn read(node: &Node<'_>) -> Result<Self> {
        Ok(Self {
            name: text(node, "name")?,
            types: each(node, "types", text_of)?,
            source: text(node, "source")?,
            has: optional(node, "has", path)?,
            kind: text(node, "kind")?,
        })
    }
}

impl FlagDefinition {
    fn read(node: &Node<'_>) -> Result<Self> {
        Ok(Self {
            flag: named("flag", &text(node, "flag")?, Flag::named)?,
            actions: each(node, "actions", text_of)?,
            since: optional(node, "since", day)?,
            until: optional(node, "until", day)?,
            source: text(node, "source")?,
            has: optional(node, "has", path)?,
        })
    }
}

impl PlaceDefinition {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut path = node.get("path").map_or(Err(wrong("rows")), path)?;
        match path.pop() {
            Some(Step::Each) => Ok(Self { path, mark: text(node, "mark")? }),
            _ => Err(wrong("rows: a path that ends elsewhere")),
        }
    }
}

impl ColumnDefinition {
    fn read(node: &Node<'_>) -> Result<Self> {
        let role = optional(node, "role", |role| named("role", &text_of(role)?, Role::named))?;
        let field = |node: &Node<'_>| match node.items() {
            [name, its_type] => {
                let column_type = named("type", &text_of(its_type)?, column_type)?;
                let is_free = role == Some(Role::FreeText);
                let hint = if is_free { Hint::Long } else { Hint::Plain };
                Ok(Column { role, hint, ..Column::new(text_of(name)?, column_type) })
            }
            _ => Err(wrong("a field")),
        };
        let paths = node.get("paths").cloned().unwrap_or(Node::Null);
        let instead = match paths.get("instead") {
            Some(Node::Object(instead)) => instead.iter(),
            _ => [].iter(),
        };
        let of_each = |node: &Node<'_>| node.items().iter().map(path).collect::<Result<_>>();
        Ok(Self {
            decoder: named("decoder", &text(node, "decoder")?, Decoder::named)?,
            otherwise: each(&paths, "otherwise", path)?,
            instead: instead
                .map(|(name, paths)| Ok((name.to_string(), of_each(paths)?)))
                .collect::<Result<_>>()?,
            items: each(node, "items", |steps| steps.items().iter().map(segment).collect())?,
            minimum: number(node, "minimum", f64::NEG_INFINITY),
            maximum: number(node, "maximum", f64::INFINITY),
            nulls: each(node, "nulls", |null| match null {
                Node::String(text) => Ok(NoValue::Text(text.to_string())),
                Node::Number(number) => {
                    number.parse().map(NoValue::Number).map_err(|_| wrong("nulls"))
                }
                _ => Err(wrong("nulls")),
            })?,
            needs: text(node, "needs")?,
            unequal_to: text(node, "unequal_to")?,
            required: each(node, "required", text_of)?,
            flag: optional(node, "flag", |flag| named("flag", &text_of(flag)?, Flag::named))?,
            forms: each(node, "forms", text_of)?,
            fields: each(node, "fields", field)?,
            is_free_text: role == Some(Role::FreeText),
        })
    }
}
