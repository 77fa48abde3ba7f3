//! Tables of events: one typed row for what a learner did, by definitions that are data.
//!
//! Every event has one home, by its type or else by its name. A table says which columns it has, and
//! for each act at which paths their values stand in every spelling of the payload. Children have
//! rows of their own for what repeats in an event.

mod build;
mod children;
pub mod decode;
mod definition;
mod plan;
mod row;
mod values;
mod view;

use std::borrow::Cow;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use self::build::Shared;
pub use self::build::{TableBuilder, TableRow};
use self::decode::payload::Body;
use self::decode::{Flag, Flags};
pub use self::definition::TableKind;
use self::definition::{Decoder, Document, TableDefinition};
use self::plan::{ActPlan, Lookup, Rule};
use self::view::View;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::frame::types::Schema;

/// The home of types that are the path of a request.
const REQUESTS: &str = "requests";
/// The home of types that are not known.
const OTHER: &str = "other_events";

/// The tables, and the home of each event type.
#[derive(Debug)]
pub struct EventTables {
    tables: Vec<Table>,
    /// Of each type the number of its table; none for one that is not among these.
    homes: AHashMap<String, Option<usize>>,
    requests: Option<usize>,
    other: Option<usize>,
    /// Those whose rows stand beside those of the homes.
    apart: Vec<usize>,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    name: String,
    kind: TableKind,
    schema: Arc<Schema>,
    /// What stands in the first columns, which most tables have.
    cells: Vec<build::Cell>,
    own: build::OwnPlaces,
    /// Of a table of children the number of the other.
    parent: Option<usize>,
    children: Vec<usize>,
    /// Of a table of children, each is that of its parent's act of the same number.
    acts: Vec<Option<ActPlan>>,
    /// Which acts a spelling may mean.
    rules: AHashMap<String, Vec<Rule>>,
    action_is_type: bool,
    /// The types of its events; none where these cannot be listed.
    types: Option<AHashSet<String>>,
    /// Endings of keys that are no inputs.
    without: Vec<String>,
    /// Whether each item of a list is a row, rather than each key of some objects.
    has_items: bool,
}

/// Some of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Candidates(u64);

impl Candidates {
    /// Whether the table of that number is one of them.
    pub fn contains(self, table: usize) -> bool {
        self.0 >> table & 1 == 1
    }
}

/// Most tables of a document: a bit for each.
const MOST_TABLES: usize = 64;

/// Where an event belongs.
#[derive(Clone, Debug)]
pub struct Home<'e> {
    /// The number of its table; none for one that is not among these.
    pub table: Option<usize>,
    /// The type or the name that decided; none if neither is known.
    spelling: Option<Cow<'e, str>>,
    name_disagrees: bool,
}

impl EventTables {
    /// Those of a document. `without_text` leaves free text null.
    ///
    /// # Errors
    /// `Internal` for what is no document of definitions.
    pub fn new(document: &str, without_text: bool) -> Result<Self> {
        let Document { homes, tables } = Document::read(document)?;
        if tables.len() > MOST_TABLES {
            let why = format!("table-file: {} tables; have {MOST_TABLES} at most", tables.len());
            return Err(Error::config(why));
        }
        let number = |name: &str| tables.iter().position(|table| table.name == name);
        let known = |name: &str| {
            number(name).ok_or_else(|| Error::internal(format!("no table of events {name}")))
        };
        let homes: AHashMap<String, Option<usize>> =
            homes.iter().map(|(one, table)| (one.clone(), number(table))).collect();
        let (requests, other) = (number(REQUESTS), number(OTHER));
        let is_open = |at: Option<usize>| at.is_some() && [requests, other].contains(&at);
        let mut made: Vec<Table> = Vec::with_capacity(tables.len());
        for (at, table) in tables.iter().enumerate() {
            let parent = match table.kind {
                TableKind::Children => Some(known(&table.parent)?),
                TableKind::Home | TableKind::Apart => None,
            };
            let types = if is_open(Some(at)) || is_open(parent) {
                None
            } else if table.kind == TableKind::Home {
                let its = homes.iter().filter(|&(_, table)| *table == Some(at));
                Some(its.map(|(one, _)| one.clone()).collect())
            } else {
                Some(table.actions.iter().flat_map(|action| action.types.clone()).collect())
            };
            let above = parent.map(|parent| &tables[parent]);
            made.push(Table::new(table, parent, above, types, without_text));
        }
        for (at, table) in tables.iter().enumerate() {
            // What is no input to the children is none to their parent.
            let children = tables.iter().filter(|child| child.parent == table.name);
            for child in children.filter(|_| table.without.is_empty()) {
                made[at].without.extend(child.without.clone());
            }
        }
        for at in 0..made.len() {
            if let Some(parent) = made[at].parent {
                made[parent].children.push(at);
            }
        }
        let kinds = made.iter().enumerate();
        let apart = kinds.filter(|(_, table)| table.kind == TableKind::Apart).map(|(at, _)| at);
        let apart = apart.collect();
        Ok(Self { tables: made, homes, requests, other, apart })
    }

    /// The number of the table of that name.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// The table of that number.
    pub fn table(&self, number: usize) -> &Table {
        &self.tables[number]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Where an event of that type and that name belongs: the type decides where it is known.
    pub fn home<'e>(
        &self,
        event_type: Option<Cow<'e, str>>,
        name: Option<Cow<'e, str>>,
    ) -> Home<'e> {
        let of = |spelling: &Option<Cow<'e, str>>| {
            self.homes.get(spelling.as_deref().unwrap_or_default()).copied()
        };
        let (by_type, by_name) = (of(&event_type), of(&name));
        if let Some(table) = by_type {
            let name_disagrees = by_name.is_some_and(|other| other != table);
            return Home { table, spelling: event_type, name_disagrees };
        }
        if let Some(table) = by_name {
            return Home { table, spelling: name, name_disagrees: false };
        }
        let is_path = event_type.is_some_and(|text| text.starts_with('/'));
        let table = if is_path { self.requests } else { self.other };
        Home { table, spelling: None, name_disagrees: false }
    }

    /// The tables that may have rows of an event of that type and that name.
    pub fn candidates(
        &self,
        event_type: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
    ) -> Candidates {
        let beside = self.apart.iter().copied().filter(|&table| {
            let types = self.tables[table].types.as_ref();
            let takes = |one: &Option<Cow<'_, str>>| {
                one.as_deref().is_some_and(|one| types.is_some_and(|types| types.contains(one)))
            };
            takes(&event_type) || takes(&name)
        });
        let beside = beside.fold(0, |beside, table| beside | 1 << table);
        let home = self.home(event_type, name);
        let Some(table) = home.table else {
            return Candidates(beside);
        };
        let spelling = home.spelling.as_deref();
        let children = self.tables[table].children.iter().copied().filter(|&child| {
            self.tables[child]
                .types
                .as_ref()
                .is_none_or(|types| spelling.is_some_and(|spelling| types.contains(spelling)))
        });
        Candidates(children.fold(beside | 1 << table, |all, child| all | 1 << child))
    }

    /// Whether a table may have rows of an event: that of its home, those of its children where its
    /// spelling has some, and those beside it that take its type or its name.
    pub fn may_have(
        &self,
        table: usize,
        event_type: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
    ) -> bool {
        self.candidates(event_type, name).contains(table)
    }

    /// Hands on the rows of an event: that of its home, those of the children, and those beside it.
    /// Each comes with the number of its table. Gives the number of the home.
    pub fn rows(
        &self,
        event: &Event<'_>,
        place: EventPlace<'_>,
        take: &mut dyn FnMut(usize, &TableRow<'_, '_>),
    ) -> Option<usize> {
        let (event_type, name) = (event.event_type(), event.name());
        let home = self.home(event_type.clone(), name.clone());
        let mut flags = Flags::default();
        let body = Body::of(event, &mut flags);
        if body.is_cut() && home.table.is_some() && self.requests == home.table {
            flags.insert(Flag::Cut512);
        }
        if home.name_disagrees {
            flags.insert(Flag::NameDisagrees);
        }
        let view = View::new(event, place, event_type.as_deref(), &body, flags);
        if let Some(table) = home.table {
            self.rows_of(table, &view, home.spelling.as_deref(), take);
        }
        for &at in &self.apart {
            if let Some(types) = &self.tables[at].types {
                let spellings = [&event_type, &name].into_iter();
                let mut known = spellings.filter_map(|one| one.as_deref());
                if let Some(spelling) = known.find(|one| types.contains(*one)) {
                    self.rows_of(at, &view, Some(spelling), take);
                }
            }
        }
        home.table
    }

    /// The row of one table, and those of its children.
    fn rows_of(
        &self,
        number: usize,
        view: &View<'_, '_>,
        spelling: Option<&str>,
        take: &mut dyn FnMut(usize, &TableRow<'_, '_>),
    ) {
        let table = &self.tables[number];
        let at = table.act(view, spelling);
        let Some(act) = table.acts.get(at).and_then(Option::as_ref) else {
            return;
        };
        let found = view.find(act);
        let mut row = view.row(act, table, &found, None);
        view.flag(act, &mut row.flags);
        let mut shared = Shared::of(table, act, spelling, &row);
        if shared.subject_id.is_null() && !shared.subject_name.is_null() {
            row.flags.insert(Flag::SubjectByName);
        }
        if view.is_of_worker() {
            row.flags.insert(Flag::Worker);
        }
        let mut made = Vec::new();
        for &child in &table.children {
            let its = &self.tables[child];
            if let Some(act) = its.acts.get(at).and_then(Option::as_ref) {
                let found = view.find(act);
                made.push((child, children::keys(view, act, its, &found), found, act));
            }
        }
        let mut rows = Vec::new();
        for (child, keys, found, act) in &made {
            for key in keys {
                let of_child = view.row(act, &self.tables[*child], found, Some(key));
                row.flags.add(of_child.flags);
                rows.push((*child, of_child));
            }
        }
        row.flags.add(view.flags());
        row.flags.push_words(&mut shared.flags);
        let row_of = |number: usize, row| TableRow {
            table: &self.tables[number],
            event: view.event,
            place: view.place,
            shared: &shared,
            row,
        };
        take(number, &row_of(number, &row));
        for (child, row) in &rows {
            take(*child, &row_of(*child, row));
        }
    }
}

impl Table {
    fn new(
        definition: &TableDefinition,
        parent: Option<usize>,
        above: Option<&TableDefinition>,
        types: Option<AHashSet<String>>,
        without_text: bool,
    ) -> Self {
        let mut acts: Vec<Option<ActPlan>> = Vec::new();
        let mut rules: AHashMap<String, Vec<Rule>> = AHashMap::new();
        let plan = |name: &str, kind: &str| ActPlan::new(definition, name, kind, without_text);
        // The acts of children are those of their parent, in its order.
        for action in &above.unwrap_or(definition).actions {
            let is_its = definition.actions.iter().any(|own| own.name == action.name);
            let known = acts.iter().position(|act| {
                act.as_ref()
                    .is_some_and(|act: &ActPlan| act.name == action.name && act.kind == action.kind)
            });
            let act = known.filter(|_| above.is_none()).unwrap_or(acts.len());
            if act == acts.len() {
                acts.push(is_its.then(|| plan(&action.name, &action.kind)));
            }
            for one in &action.types {
                let has = action.has.as_ref().map(Lookup::new);
                let rule = Rule { act, source: action.source.clone(), has };
                rules.entry(one.clone()).or_default().push(rule);
            }
        }
        if definition.actions.is_empty() {
            acts.push(Some(plan("", "")));
        }
        let lists = [Decoder::ItemNumber, Decoder::Place];
        let (schema, cells, own) = build::layout(definition);
        Self {
            name: definition.name.clone(),
            kind: definition.kind,
            schema,
            cells,
            own,
            parent,
            children: Vec::new(),
            acts,
            rules,
            action_is_type: definition.action_is_type,
            types,
            without: definition.without.clone(),
            has_items: definition.columns.iter().any(|column| lists.contains(&column.decoder)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its rows belong to events.
    pub fn kind(&self) -> TableKind {
        self.kind
    }

    /// Its columns.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The event types that its rows may be of; none where these cannot be listed.
    pub fn types(&self) -> Option<&AHashSet<String>> {
        self.types.as_ref()
    }

    /// The number of the act that a spelling means: a rule that asks for a value goes before the
    /// others, then one of the event's own source.
    fn act(&self, view: &View<'_, '_>, spelling: Option<&str>) -> usize {
        let rules = spelling.and_then(|spelling| self.rules.get(spelling));
        let Some(rules) = rules else {
            return 0;
        };
        if let [only] = &rules[..]
            && only.has.is_none()
        {
            return only.act;
        }
        let source = view.source();
        let is_its = |rule: &Rule| source.as_deref() == Some(&*rule.source);
        let suits = |rule: &&Rule| rule.source.is_empty() || is_its(rule);
        let holds = |rule: &&Rule| rule.has.as_ref().is_some_and(|has| view.holds(has));
        let plain = || rules.iter().filter(|rule| rule.has.is_none());
        let found = rules.iter().filter(suits).find(holds);
        let found = found.or_else(|| plain().find(|rule| !rule.source.is_empty() && is_its(rule)));
        let found = found.or_else(|| plain().find(|rule| rule.source.is_empty()));
        found.or_else(|| plain().next()).map_or(0, |rule| rule.act)
    }
}
