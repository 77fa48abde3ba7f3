//! The groups of a cube as a table.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::cube::{CubeQuery, Group, Key, NULL};
use super::texts::Texts;
use super::{MIDDLE, TEXTS};
use crate::error::{Error, Result};
use crate::frame::builder::ColumnBuilder;
use crate::frame::types::{Column, ColumnType, Schema, Value};
use crate::time;

/// Groups in the order of the values of their keys, nulls last.
///
/// The columns are the keys, `events`, `people` and `people_exact` where people are counted, and
/// `first_time` and `last_time`.
pub struct Table {
    /// What they are.
    pub schema: Arc<Schema>,
    /// One row for each group.
    pub rows: RecordBatch,
}

impl Table {
    pub(super) fn new(asked: &CubeQuery, groups: &[Group], texts: &[Texts; TEXTS]) -> Result<Self> {
        let mut order: Vec<&Group> = groups.iter().collect();
        order.sort_by(|one, other| compare(asked, texts, one, other));
        let mut columns: Vec<Column> = asked.keys.iter().map(|&key| column(key)).collect();
        let count = |name: &str| Column { nullable: false, ..Column::new(name, ColumnType::Int64) };
        columns.push(count("events"));
        if asked.people.is_some() {
            columns.push(count("people"));
            let exact = Column::new("people_exact", ColumnType::Bool);
            columns.push(Column { nullable: false, ..exact });
        }
        for name in ["first_time", "last_time"] {
            columns.push(Column::new(name, ColumnType::Timestamp));
        }
        let schema = Schema::new(columns);
        let mut builders: Vec<ColumnBuilder> =
            schema.columns().iter().map(|column| ColumnBuilder::new(column.column_type)).collect();
        for group in order {
            let mut next = builders.iter_mut();
            let mut push = |value: Value<'_>| next.next().map(|builder| builder.push(value));
            for (&key, &value) in asked.keys.iter().zip(&group.values) {
                push(value_of(key, value, texts));
            }
            push(Value::Int(group.events as i64));
            if asked.people.is_some() {
                push(Value::Int(group.people.count() as i64));
                push(Value::Bool(group.people.is_exact()));
            }
            for time in [group.first, group.last] {
                push(if group.first > group.last { Value::Null } else { Value::Time(time) });
            }
        }
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        let rows = RecordBatch::try_new(schema.arrow().clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { schema, rows })
    }
}

fn column(key: Key) -> Column {
    let column_type = match key {
        Key::Date | Key::Week => ColumnType::Date,
        Key::Year | Key::Hour | Key::Weekday => ColumnType::Int64,
        _ => ColumnType::Text,
    };
    Column::new(key.as_str(), column_type)
}

fn compare(asked: &CubeQuery, texts: &[Texts; TEXTS], one: &Group, other: &Group) -> Ordering {
    let pairs = asked.keys.iter().zip(one.values.iter().zip(&other.values));
    let each = pairs.map(|(&key, (&one, &other))| match texts.get(key as usize) {
        Some(texts) if one != NULL && other != NULL => {
            texts.all()[one as usize].cmp(&texts.all()[other as usize])
        }
        _ => one.cmp(&other),
    });
    each.fold(Ordering::Equal, Ordering::then)
}

fn value_of(key: Key, value: u32, texts: &[Texts; TEXTS]) -> Value<'_> {
    let number = i64::from((value ^ MIDDLE) as i32);
    if value == NULL {
        return Value::Null;
    }
    match (key, texts.get(key as usize)) {
        (_, Some(texts)) => Value::Text(Cow::Borrowed(&texts.all()[value as usize])),
        (Key::Date | Key::Week, _) => Value::Day(number as i32),
        (Key::Month, _) => {
            let mut text = Vec::new();
            time::push_day(number, &mut text);
            text.truncate("2014-10".len());
            Value::Text(Cow::Owned(String::from_utf8_lossy(&text).into_owned()))
        }
        (Key::Year, _) => Value::Int(number),
        _ => Value::Int(value.into()),
    }
}
