//! What a column is, before any row of it: of events, of tables, and of what is made of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text as it stands; empty is not null.
    Text,
    /// Strict JSON, as text.
    Json,
    /// A 64-bit integer.
    Int64,
    /// A finite number.
    Float64,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    Timestamp,
    /// A day.
    Date,
}

impl ColumnType {
    /// The type that Arrow has so, if there is one. JSON comes back as text.
    pub fn of_arrow(data_type: &DataType) -> Option<Self> {
        let all = [Self::Text, Self::Int64, Self::Float64, Self::Bool, Self::Timestamp, Self::Date];
        all.into_iter().find(|column_type| column_type.arrow() == *data_type)
    }

    /// Its Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
        }
    }
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// Text, or JSON.
    Text(Cow<'a, str>),
    /// A 64-bit integer.
    Int(i64),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
    /// A 64-bit float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Days since 1970-01-01.
    Day(i32),
}

impl<'a> From<Option<Cow<'a, str>>> for Value<'a> {
    fn from(text: Option<Cow<'a, str>>) -> Self {
        text.map_or(Value::Null, Value::Text)
    }
}

/// How the values of a column lie, which says how they are encoded best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// Nothing is known.
    #[default]
    Plain,
    /// Integers or moments that grow, or nearly.
    Grows,
    /// Long, mostly distinct text: a dictionary would be given up soon.
    Long,
}

/// What a column tells of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An id of a person, or of what belongs to one person alone, such as a session.
    PersonId,
    /// The name that a person goes by on the site.
    Username,
    /// Where mail reaches a person.
    Email,
    /// Where a person or a person's device or page is found: an IP, a place, a URL.
    Address,
    /// Words of or about a person: names, posts, answers, payloads.
    FreeText,
}

impl Role {
    const ALL: [Self; 5] =
        [Self::PersonId, Self::Username, Self::Email, Self::Address, Self::FreeText];

    /// Its name in lists of columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonId => "person id",
            Self::Username => "username",
            Self::Email => "e-mail",
            Self::Address => "address",
            Self::FreeText => "free text",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A column: all that is known of it before its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the output.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// How its values lie.
    pub hint: Hint,
    /// Whether readers ask for ranges of it, so that statistics help.
    pub statistics: bool,
    /// What it tells of a person, if anything.
    pub role: Option<Role>,
}

impl Column {
    /// A column of which no more is known than its type.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            column_type,
            nullable: true,
            hint: Hint::Plain,
            statistics: true,
            role: None,
        }
    }
}

/// The columns of an output, in order.
#[derive(Clone, Debug)]
pub struct Schema {
    columns: Vec<Column>,
    arrow: SchemaRef,
}

impl Schema {
    /// Those columns.
    pub fn new(columns: Vec<Column>) -> Arc<Self> {
        let field = |c: &Column| Field::new(&c.name, c.column_type.arrow(), c.nullable);
        let arrow = arrow_schema::Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        Arc::new(Self { columns, arrow: Arc::new(arrow) })
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// As Arrow has them.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }
}
