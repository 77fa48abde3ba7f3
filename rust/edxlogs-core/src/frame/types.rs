//! What a column is, before any row of it: of events, of tables, and of what is made of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};

use crate::frame::names::names;

names! {
    /// The type of a column.
    ColumnType {
        /// Text as it stands; empty is not null.
        Text = "text",
        /// Strict JSON, as text.
        Json = "json",
        /// A 64-bit integer.
        Int64 = "int64",
        /// A finite number.
        Float64 = "float64",
        /// True or false.
        Bool = "bool",
        /// Microseconds since 1970, UTC.
        Timestamp = "timestamp",
        /// A day.
        Date = "date",
    }
}

impl ColumnType {
    /// The type that Arrow has so, if there is one. JSON comes back as text.
    pub fn of_arrow(data_type: &DataType) -> Option<Self> {
        Self::ALL.iter().copied().find(|column_type| column_type.arrow() == *data_type)
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

impl Value<'_> {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same, whose text is borrowed from it.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Int(number) => Value::Int(*number),
            Self::Time(micros) => Value::Time(*micros),
            Self::Float(number) => Value::Float(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Day(day) => Value::Day(*day),
        }
    }
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

names! {
    /// What a column tells of a person.
    Role {
        /// An id of a person, or of what belongs to one person alone, such as a session.
        PersonId = "person id",
        /// The name that a person goes by on the site.
        Username = "username",
        /// Where mail reaches a person.
        Email = "e-mail",
        /// Where a person or a person's device or page is found: an IP, a place, a URL.
        Address = "address",
        /// Words of or about a person: names, posts, answers, payloads.
        FreeText = "free text",
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
    /// Whether the metadata of a file tell its bounds, which must name no person.
    pub fn has_statistics(&self) -> bool {
        self.statistics && self.role.is_none()
    }

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
