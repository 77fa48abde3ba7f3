//! What is done for an event of a table: for each act one walk over its payload for all that columns
//! ask of it, and how their values follow.

use crate::event::column::{COLUMNS, EventColumn};
use crate::event::fields::ContextKeys;
use crate::frame::types::ColumnType;
use crate::json::path::{Paths, Segment};
use crate::json::scanner::Span;

use super::decode::Flag;
use super::definition::{
    ColumnDefinition, Decoder, FlagDefinition, NoValue, PathSteps, PlaceDefinition, Step,
    TableDefinition,
};

/// Where a value is looked for.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// At the path of that number behind the payload.
    Payload(usize),
    /// Behind the context.
    Context(usize),
    /// A default column.
    Column(EventColumn),
    /// A field of the line that is no column.
    Line(Vec<Segment>),
    /// In a row of children: at the path of that number behind the value at that place.
    Place(usize, usize),
    /// Behind the value of the row, whatever its place.
    Row(usize),
}

/// A path as a place of a rule, which is looked up by itself.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub root: Root,
    pub steps: Vec<Segment>,
}

/// Where the first key of a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Payload,
    Context,
    Line,
    /// To the inputs of a browser's form.
    Form,
}

/// How the value of a column, or the values of some, follow for an act.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan {
    /// The first of its fields among those of the table.
    pub at: usize,
    pub decoder: Decoder,
    pub column_type: ColumnType,
    pub sources: Vec<Source>,
    /// How the first column of a block calls each of the sources.
    pub names: Vec<String>,
    pub items: Vec<Vec<Segment>>,
    pub minimum: f64,
    pub maximum: f64,
    pub nulls: Vec<NoValue>,
    /// The field without whose value this one is null.
    pub needs: Option<usize>,
    /// The field whose equal value makes this one null.
    pub unequal_to: Option<usize>,
    pub is_required: bool,
    pub flag: Option<Flag>,
    pub has_form: bool,
    /// The paths of which one must lead to something for it not to be null, if there are such.
    pub asks: Option<Numbers>,
    /// Whether a path begins at a row of children.
    pub is_of_row: bool,
}

/// Some of the paths behind the payload and the context, by their numbers; those of a large number
/// are not told apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    payload: u128,
    context: u128,
}

impl Numbers {
    fn bit(number: usize) -> u128 {
        1 << number.min(127)
    }

    /// Those at which something stands.
    pub fn of(payload: &[Span], context: &[Span]) -> Self {
        let bits = |spans: &[Span]| {
            let there = spans.iter().enumerate().filter(|(_, span)| span.is_present());
            there.fold(0, |bits, (number, _)| bits | Self::bit(number))
        };
        Self { payload: bits(payload), context: bits(context) }
    }

    /// Those that sources ask for; none where one does not go by such a path.
    fn asked(sources: &[Source]) -> Option<Self> {
        sources.iter().try_fold(Self::default(), |numbers, source| match source {
            Source::Payload(at) => {
                Some(Self { payload: numbers.payload | Self::bit(*at), ..numbers })
            }
            Source::Context(at) => {
                Some(Self { context: numbers.context | Self::bit(*at), ..numbers })
            }
            _ => None,
        })
    }

    /// Whether there may be one that is among others, too.
    pub fn meets(self, others: Self) -> bool {
        self.payload & others.payload != 0 || self.context & others.context != 0
    }
}

/// When an act gets a flag.
#[derive(Clone, Debug)]
pub(super) struct FlagPlan {
    pub flag: Flag,
    pub since: i64,
    pub until: i64,
    pub source: String,
    pub has: Option<Lookup>,
}

/// What is done for one act.
#[derive(Debug, Default)]
pub(super) struct ActPlan {
    /// Its name and its kind; empty for none.
    pub name: String,
    pub kind: String,
    pub payload: Paths,
    pub context: Paths,
    /// The keys of the context that these begin with.
    pub context_keys: ContextKeys,
    pub columns: Vec<ColumnPlan>,
    /// The numbers of those that say something of themselves beside others, or of the row.
    pub checked: Vec<usize>,
    pub flags: Vec<FlagPlan>,
    /// Of a table of children: where its rows are, and what is looked for in each of them.
    pub places: Vec<PlacePlan>,
}

/// A place of rows of children.
#[derive(Debug)]
pub(super) struct PlacePlan {
    pub root: Root,
    /// The number of its path behind the payload or the context.
    pub number: usize,
    pub mark: String,
    /// What is asked of the value of a row at this place.
    pub paths: Paths,
    /// What is asked of it whatever its place.
    pub of_row: Paths,
}

/// A rule that says which act a spelling means.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The number of the act.
    pub act: usize,
    pub source: String,
    pub has: Option<Lookup>,
}

impl ActPlan {
    /// The plan of an act of a table.
    pub fn new(table: &TableDefinition, name: &str, kind: &str, without_text: bool) -> Self {
        let mut plan = Self { name: name.to_owned(), kind: kind.to_owned(), ..Self::default() };
        for place in &table.places {
            plan.add_place(place);
        }
        let mut at = 0;
        for column in &table.columns {
            if !(without_text && column.is_free_text)
                && let Some(column) = plan.column(table, column, at)
            {
                if column.needs.is_some() || column.unequal_to.is_some() || column.flag.is_some() {
                    plan.checked.push(plan.columns.len());
                }
                plan.columns.push(column);
            }
            at += column.fields.len();
        }
        let flags = table.flags.iter().filter(|flag| flag.actions.iter().any(|one| one == name));
        plan.flags = flags.map(FlagPlan::new).collect();
        plan
    }

    fn add_place(&mut self, place: &PlaceDefinition) {
        let (root, rest) = root_of(&place.path);
        let number = match root {
            Root::Context => self.in_context(&rest),
            Root::Payload => self.payload.add(rest.iter().map(Segment::step)),
            Root::Form | Root::Line => 0,
        };
        let (paths, of_row) = (Paths::default(), Paths::default());
        self.places.push(PlacePlan { root, number, mark: place.mark.clone(), paths, of_row });
    }

    /// The number of a path behind the context.
    fn in_context(&mut self, steps: &[Segment]) -> usize {
        self.context_keys.add(match steps.first() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        });
        self.context.add(steps.iter().map(Segment::step))
    }

    /// The plan of a column; `None` where it is null for the act.
    fn column(
        &mut self,
        table: &TableDefinition,
        column: &ColumnDefinition,
        at: usize,
    ) -> Option<ColumnPlan> {
        let is_said = |names: &[String]| {
            names.iter().any(|one| *one == self.name || (!one.is_empty() && *one == self.kind))
        };
        let is_required = is_said(&column.required);
        let has_form = is_said(&column.forms);
        let paths = column.paths(&self.name, &self.kind);
        let (mut sources, mut names) = (Vec::new(), Vec::new());
        for path in paths {
            sources.push(self.source(table, path));
            names.push(name_of(path));
        }
        // A block is told by the context or the address, too.
        let needs_paths = column.decoder.reads_paths() && column.decoder != Decoder::BlockId;
        let is_null = match column.decoder {
            Decoder::FormInputs => !has_form,
            _ => needs_paths && sources.is_empty(),
        };
        if is_null {
            return None;
        }
        let is_of_row =
            sources.iter().any(|source| matches!(source, Source::Row(_) | Source::Place(..)));
        if column.decoder == Decoder::BlockId && !is_of_row {
            let path = ["context", "module", "usage_key"];
            let path: PathSteps =
                path.iter().map(|&key| Step::At(Segment::Key(key.to_owned()))).collect();
            sources.push(self.source(table, &path));
            names.push(name_of(&path));
        }
        let field = |name: &str| {
            let all = table.columns.iter().flat_map(|column| &column.fields);
            all.clone().position(|field| field.name == name)
        };
        let is_of_path = column.decoder.reads_paths()
            && !matches!(column.decoder, Decoder::BlockId | Decoder::Player | Decoder::IsSet);
        Some(ColumnPlan {
            at,
            asks: Numbers::asked(&sources).filter(|_| is_of_path),
            decoder: column.decoder,
            column_type: column.fields.first().map_or(ColumnType::Text, |one| one.column_type),
            sources,
            names,
            items: column.items.clone(),
            minimum: column.minimum,
            maximum: column.maximum,
            nulls: column.nulls.clone(),
            needs: field(&column.needs),
            unequal_to: field(&column.unequal_to),
            is_required,
            flag: column.flag,
            has_form,
            is_of_row,
        })
    }

    /// Where a path leads, which is noted for the walk.
    fn source(&mut self, table: &TableDefinition, path: &PathSteps) -> Source {
        if let Some(each) = path.iter().position(|step| *step == Step::Each) {
            let rest: Vec<Segment> = path[each + 1..].iter().filter_map(segment).collect();
            let steps = || rest.iter().map(Segment::step);
            if each == 0 {
                let numbers = self.places.iter_mut().map(|place| place.of_row.add(steps()));
                return Source::Row(numbers.last().unwrap_or_default());
            }
            let own = table.places.iter().position(|place| place.path[..] == path[..each]);
            let own = own.unwrap_or_default();
            return Source::Place(own, self.places[own].paths.add(steps()));
        }
        let (root, rest) = root_of(path);
        match root {
            Root::Payload | Root::Form => {
                Source::Payload(self.payload.add(rest.iter().map(Segment::step)))
            }
            Root::Context => Source::Context(self.in_context(&rest)),
            Root::Line => match &rest[..] {
                [Segment::Key(key)] if let Some(column) = column_named(key) => {
                    Source::Column(column)
                }
                _ => Source::Line(rest),
            },
        }
    }
}

impl FlagPlan {
    fn new(flag: &FlagDefinition) -> Self {
        Self {
            flag: flag.flag,
            since: flag.since.unwrap_or(i64::MIN),
            until: flag.until.unwrap_or(i64::MAX),
            source: flag.source.clone(),
            has: flag.has.as_ref().map(Lookup::new),
        }
    }

    /// Whether it says anything of the time.
    pub fn is_dated(&self) -> bool {
        (self.since, self.until) != (i64::MIN, i64::MAX)
    }
}

impl Lookup {
    pub fn new(path: &PathSteps) -> Self {
        let (root, steps) = root_of(path);
        Self { root, steps }
    }
}

/// A default column of that name.
pub(super) fn column_named(name: &str) -> Option<EventColumn> {
    COLUMNS.iter().copied().find(|column| column.name() == name)
}

fn segment(step: &Step) -> Option<Segment> {
    match step {
        Step::At(segment) => Some(segment.clone()),
        Step::Each => None,
    }
}

/// The root of a path, and the steps from there; into the line all of them.
fn root_of(path: &PathSteps) -> (Root, Vec<Segment>) {
    let mut steps: Vec<Segment> = path.iter().filter_map(segment).collect();
    let root = match steps.first() {
        Some(Segment::Key(key)) if key == "event" => Root::Payload,
        Some(Segment::Key(key)) if key == "form" => Root::Form,
        Some(Segment::Key(key)) if key == "context" => Root::Context,
        _ => return (Root::Line, steps),
    };
    steps.remove(0);
    (root, steps)
}

/// What `block_from` calls a path: that into the payload begins there.
fn name_of(path: &PathSteps) -> String {
    let (root, steps) = root_of(path);
    let mut name = String::from(if root == Root::Context { "context" } else { "" });
    for step in steps {
        match step {
            Segment::Key(key) => {
                if !name.is_empty() {
                    name.push('.');
                }
                name += &key;
            }
            Segment::Index(index) => name += &format!("[{index}]"),
        }
    }
    name
}
