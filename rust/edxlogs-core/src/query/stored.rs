//! The rows of a dataset, asked as events are: the same conditions and paths, answered by the columns
//! that it holds.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::Schema as ArrowSchema;
use arrow_select::filter::filter_record_batch;

use crate::error::{Error, Result};
use crate::event::column::COLUMNS;
use crate::frame::builder::ColumnBuilder;
use crate::frame::types::{Column, ColumnType, Schema, Value};
use crate::json::path::{Segment, find};
use crate::json::text::whole_value;
use crate::query::expression::Path;
use crate::query::predicate::{AskedOf, By, ConditionKind, Conditions, Predicate};
use crate::query::projection::{Expr, OutputColumn, cast, cast_text};
use crate::time;

/// Where the value of a path stands.
#[derive(Clone, Debug)]
struct ValuePlace {
    /// The column.
    column: usize,
    /// The rest of the path, into the JSON that the column holds.
    rest: Arc<[Segment]>,
    path: Path,
    kind: ColumnType,
}

/// A question to the rows of a dataset.
pub struct StoredQuery {
    columns: StoredColumns,
    predicate: Predicate,
    /// Of the columns of the output, what they hold.
    output: Vec<ValuePlace>,
    schema: Arc<Schema>,
    needed: Vec<usize>,
}

/// The columns that a dataset holds.
struct StoredColumns {
    names: Vec<String>,
    kinds: Vec<ColumnType>,
    /// Those that conditions of their own ask for, by the number of the default column.
    known: Vec<Option<usize>>,
    /// The paths that expressions ask for.
    asked: Vec<(Expr, ValuePlace)>,
}

impl StoredQuery {
    /// Asks rows of that schema for the columns named, as `--columns` takes them; None: all.
    ///
    /// # Errors
    /// `Config` for a condition or a column that the dataset cannot answer.
    pub fn new(
        schema: &ArrowSchema,
        conditions: &Conditions,
        named: Option<&[String]>,
    ) -> Result<Self> {
        let mut columns = StoredColumns::of(schema)?;
        let mut needed = columns.of_conditions(conditions)?;
        let predicate = Predicate::typed(conditions, &|path| columns.kind_of(path))?;
        let mut asked = Vec::new();
        let mut refused = None;
        predicate.visit(&mut |expr| match columns.place_of("where", &path_of(expr)) {
            Ok(place) => asked.push((expr.clone(), place)),
            Err(error) => refused = refused.take().or(Some(error)),
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let mut output = Vec::new();
        let mut written: Vec<Column> = Vec::new();
        let all = || columns.names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
        let named: Vec<String> = named.map_or_else(|| all().collect(), <[String]>::to_vec);
        for text in &named {
            let OutputColumn { name, expr } = text.parse()?;
            let place = columns.place_of("columns", &path_of(&expr))?;
            // A path that is the name of a column needs no quotes in the output.
            let is_whole = place.rest.is_empty() && place.path.cast.is_none();
            let own = &columns.names[place.column];
            let name = if is_whole && !text.contains('=') { own.clone() } else { name };
            if written.iter().any(|other| other.name == name) {
                return Err(Error::config(format!("column {name}: named twice; name it once")));
            }
            let known = COLUMNS.iter().find(|column| column.name() == own);
            written.push(match known {
                Some(column) if is_whole && column.column_type() == place.kind => {
                    Column { name, nullable: true, ..column.definition() }
                }
                _ => Column::new(name, place.kind),
            });
            output.push(place);
        }
        needed.extend(asked.iter().map(|(_, place)| place.column));
        needed.extend(output.iter().map(|place| place.column));
        needed.sort_unstable();
        needed.dedup();
        columns.asked = asked;
        Ok(Self { columns, predicate, output, schema: Schema::new(written), needed })
    }

    /// Names of the columns that must be read.
    pub fn needed(&self) -> Vec<String> {
        self.needed.iter().map(|&at| self.columns.names[at].clone()).collect()
    }

    /// The columns of the output.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    /// The rows that are wanted, with the columns that are.
    ///
    /// # Errors
    /// `Internal`, should the rows be of another schema.
    pub fn select(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let internal = |error: arrow_schema::ArrowError| Error::internal(error.to_string());
        let columns = &self.columns;
        let wanted: BooleanArray = (0..rows.num_rows())
            .map(|row| Some(self.predicate.wants(&StoredRow { columns, rows, row })))
            .collect();
        let kept = filter_record_batch(rows, &wanted).map_err(internal)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.output.len());
        for place in &self.output {
            if place.rest.is_empty() && place.path.cast.is_none() {
                arrays.push(Arc::clone(kept.column(place.column)));
                continue;
            }
            let mut builder = ColumnBuilder::new(place.kind);
            for row in 0..kept.num_rows() {
                builder.push(StoredRow { columns, rows: &kept, row }.at(place));
            }
            arrays.push(builder.finish());
        }
        RecordBatch::try_new(self.schema.arrow().clone(), arrays).map_err(internal)
    }
}

fn path_of(expr: &Expr) -> Path {
    match expr {
        Expr::Path(path) => path.clone(),
        Expr::Column(column) => {
            Path { segments: Arc::new([Segment::Key(column.name().to_owned())]), cast: None }
        }
        Expr::Line => Path { segments: Arc::new([]), cast: None },
    }
}

impl StoredColumns {
    fn of(schema: &ArrowSchema) -> Result<Self> {
        let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let kinds = schema.fields().iter().map(|field| {
            ColumnType::of_arrow(field.data_type()).ok_or_else(|| {
                Error::config(format!("dataset: column {}: is of another type", field.name()))
            })
        });
        let kinds = kinds.collect::<Result<Vec<_>>>()?;
        let known =
            COLUMNS.iter().map(|c| names.iter().position(|name| name == c.name())).collect();
        Ok(Self { names, kinds, known, asked: Vec::new() })
    }

    fn refuse(&self, what: &str, name: &str) -> Error {
        let held = self.names.join(", ");
        Error::config(format!("{what}: the dataset holds no column {name}; it has {held}"))
    }

    /// The columns that conditions of their own ask for; they are refused where none is held.
    fn of_conditions(&self, conditions: &Conditions) -> Result<Vec<usize>> {
        let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
        for condition in &conditions.asked {
            let ids = condition.values.iter().all(|value| value.trim().parse::<i64>().is_ok());
            all.push(match condition.kind {
                ConditionKind::Site => ("site", vec!["site"]),
                ConditionKind::EventType => ("event-type", vec!["event_type", "name"]),
                ConditionKind::EventSource => ("event-source", vec!["event_source"]),
                ConditionKind::User if ids => ("user", vec!["user_id", "username"]),
                ConditionKind::User => ("user", vec!["username"]),
                ConditionKind::Course => ("course", vec!["course_id"]),
                ConditionKind::Org => ("org", vec!["org_id"]),
                ConditionKind::Expression => continue,
            });
        }
        if conditions.since.is_some() || conditions.until.is_some() {
            all.push(("since, until", vec!["time"]));
            if conditions.by == By::ReceivedAt {
                all.push(("by", vec!["received_at"]));
            }
        }
        let mut needed = Vec::new();
        for (what, names) in all {
            let before = needed.len();
            let place = |name: &&str| self.names.iter().position(|one| one == name);
            needed.extend(names.iter().filter_map(place));
            if needed.len() == before {
                return Err(self.refuse(what, names[0]));
            }
        }
        Ok(needed)
    }

    /// Where the value of a path stands.
    fn place_of(&self, what: &str, path: &Path) -> Result<ValuePlace> {
        let bare = Path { cast: None, ..path.clone() }.to_string();
        let (first, rest) = match path.segments.split_first() {
            Some((Segment::Key(key), rest)) => (key.as_str(), rest),
            _ => return Err(self.refuse(what, &bare)),
        };
        let is_it = |name: &String| *name == bare || (rest.is_empty() && name == first);
        let whole = self.names.iter().position(is_it);
        let (column, rest) = match whole {
            Some(column) => (column, &[][..]),
            None => {
                let column = self.names.iter().position(|name| name == first);
                let column = column.filter(|&at| self.kinds[at] == ColumnType::Text);
                (column.ok_or_else(|| self.refuse(what, &bare))?, rest)
            }
        };
        let path = path.clone();
        let kind = match path.cast {
            Some(_) => Expr::Path(path.clone()).column_type(),
            None if rest.is_empty() => self.kinds[column],
            None => ColumnType::Text,
        };
        Ok(ValuePlace { column, rest: rest.into(), path, kind })
    }

    fn kind_of(&self, path: &Path) -> ColumnType {
        self.place_of("", path).map_or(ColumnType::Text, |place| match place.kind {
            // Days are compared as text.
            ColumnType::Date => ColumnType::Text,
            kind => kind,
        })
    }
}

/// A row.
struct StoredRow<'r> {
    columns: &'r StoredColumns,
    rows: &'r RecordBatch,
    row: usize,
}

impl<'r> StoredRow<'r> {
    /// The value of a column as it stands.
    fn stored(&self, at: usize) -> Value<'r> {
        let (column, row) = (self.rows.column(at), self.row);
        if column.is_null(row) {
            return Value::Null;
        }
        match self.columns.kinds[at] {
            ColumnType::Text | ColumnType::Json => {
                Value::Text(Cow::Borrowed(column.as_string::<i32>().value(row)))
            }
            ColumnType::Int64 => Value::Int(column.as_primitive::<Int64Type>().value(row)),
            ColumnType::Float64 => Value::Float(column.as_primitive::<Float64Type>().value(row)),
            ColumnType::Bool => Value::Bool(column.as_boolean().value(row)),
            ColumnType::Timestamp => {
                Value::Time(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            ColumnType::Date => Value::Day(column.as_primitive::<Date32Type>().value(row)),
        }
    }

    /// The value at a place.
    fn at(&self, place: &ValuePlace) -> Value<'r> {
        let value = self.stored(place.column);
        if place.rest.is_empty() {
            let Some(to) = place.path.cast else {
                return value;
            };
            let text = match value {
                Value::Null => return Value::Null,
                Value::Text(text) => text.into_owned(),
                Value::Int(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Time(micros) => iso(micros),
                Value::Day(day) => day_text(day),
            };
            return cast_text(&text, to);
        }
        let Value::Text(Cow::Borrowed(text)) = value else {
            return Value::Null;
        };
        let Ok((whole, _)) = whole_value(text.as_bytes()) else {
            return Value::Null;
        };
        match find(text.as_bytes(), whole, place.rest.iter().map(Segment::step)) {
            Some(span) => cast(text, span, place.path.cast),
            None => Value::Null,
        }
    }

    /// The value of a default column, where it is held.
    fn known(&self, name: &str) -> Value<'r> {
        let at = COLUMNS.iter().position(|column| column.name() == name);
        at.and_then(|at| self.columns.known[at]).map_or(Value::Null, |at| self.stored(at))
    }

    fn text(&self, name: &str) -> Option<&'r str> {
        match self.known(name) {
            Value::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.known(name) {
            Value::Int(number) | Value::Time(number) => Some(number),
            _ => None,
        }
    }
}

fn iso(micros: i64) -> String {
    let mut text = Vec::new();
    time::push_iso(micros, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn day_text(day: i32) -> String {
    let mut text = Vec::new();
    time::push_day(day.into(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

impl AskedOf for StoredRow<'_> {
    fn site(&self) -> Option<&str> {
        self.text("site")
    }

    fn course(&self) -> Option<&str> {
        self.text("course_id")
    }

    fn org(&self) -> Option<Cow<'_, str>> {
        self.text("org_id").map(Cow::Borrowed)
    }

    fn has_type(&self, is_it: impl Fn(&str) -> bool) -> bool {
        let types = ["event_type", "name"].into_iter().filter_map(|name| self.text(name));
        types.filter(|text| !text.is_empty()).any(is_it)
    }

    fn event_source(&self) -> Option<Cow<'_, str>> {
        self.text("event_source").map(Cow::Borrowed)
    }

    fn username(&self) -> Option<Cow<'_, str>> {
        self.text("username").map(Cow::Borrowed)
    }

    fn user_id(&self) -> Option<i64> {
        self.number("user_id")
    }

    fn time(&self) -> Option<i64> {
        self.number("time")
    }

    fn received_at(&self) -> Option<i64> {
        self.number("received_at")
    }

    fn value(&self, value: &Expr) -> Value<'_> {
        let asked = self.columns.asked.iter().find(|(expr, _)| is_same(expr, value));
        match asked.map(|(_, place)| self.at(place)) {
            Some(Value::Day(day)) => Value::Text(Cow::Owned(day_text(day))),
            found => found.unwrap_or(Value::Null),
        }
    }
}

fn is_same(one: &Expr, other: &Expr) -> bool {
    match (one, other) {
        (Expr::Column(one), Expr::Column(other)) => one == other,
        (Expr::Path(one), Expr::Path(other)) => {
            Arc::ptr_eq(&one.segments, &other.segments) && one.cast == other.cast
        }
        _ => false,
    }
}
