//! Which values of conditions were met: one that no kept event is of may be misspelt.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::truth::AskedOf;
use super::{Condition, ConditionKind, Test};
use crate::frame::types::Value;
use crate::query::expression::Path;
use crate::query::pattern::Pattern;
use crate::query::projection::Expr;

/// The values of a query's conditions, and the paths of its expressions, and which of them were met.
#[derive(Debug)]
pub(super) struct MetConditions {
    values: Vec<ConditionValues>,
    /// Whether a kept event held it.
    paths: Vec<(Expr, AtomicBool)>,
}

/// The values of one condition.
#[derive(Debug)]
struct ConditionValues {
    kind: ConditionKind,
    exact: HashMap<String, Vec<usize>>,
    globs: Vec<(usize, Pattern)>,
    ids: HashMap<i64, Vec<usize>>,
    met: Vec<AtomicBool>,
    /// How many were not.
    left: AtomicUsize,
}

impl MetConditions {
    /// None of the values of these conditions.
    pub fn of(asked: &[Condition], tests: &[Test]) -> Self {
        let mut paths: Vec<(Expr, AtomicBool)> = Vec::new();
        for test in tests {
            test.visit(&mut |expr| {
                let is_known = paths.iter().any(|(other, _)| other == expr);
                if !is_known && expr.path().is_some() {
                    paths.push((expr.clone(), AtomicBool::new(false)));
                }
            });
        }
        Self { values: asked.iter().filter_map(ConditionValues::of).collect(), paths }
    }

    /// Notes which values a kept event is of.
    pub fn note(&self, asked: &impl AskedOf) {
        for (path, is_met) in &self.paths {
            if !is_met.load(Ordering::Relaxed) && asked.value(path) != Value::Null {
                is_met.store(true, Ordering::Relaxed);
            }
        }
        for values in &self.values {
            // An event is looked at no more when all were met.
            if values.left.load(Ordering::Relaxed) > 0 {
                values.note(asked);
            }
        }
    }

    /// Those that were not met, by kind and place.
    pub fn unmet(&self) -> Vec<(ConditionKind, usize)> {
        let unmet = |values: &ConditionValues| -> Vec<_> {
            let flags = values.met.iter().enumerate();
            let left = flags.filter(|(_, met)| !met.load(Ordering::Relaxed));
            left.map(|(at, _)| (values.kind, at)).collect()
        };
        self.values.iter().flat_map(unmet).collect()
    }

    /// The paths of expressions that no kept event held.
    pub fn unheld(&self) -> impl Iterator<Item = String> {
        let left = self.paths.iter().filter(|(_, is_met)| !is_met.load(Ordering::Relaxed));
        left.filter_map(|(expr, _)| match expr {
            Expr::Path(path) => Some(Path { cast: None, ..path.clone() }.to_string()),
            _ => None,
        })
    }
}

impl ConditionValues {
    fn of(condition: &Condition) -> Option<Self> {
        use ConditionKind::{Course, EventType, Site, User};
        let Condition { kind, values, excluded } = condition;
        if *excluded || !matches!(kind, Course | EventType | Site | User) {
            return None;
        }
        let mut new = Self {
            kind: *kind,
            exact: HashMap::new(),
            globs: Vec::new(),
            ids: HashMap::new(),
            met: values.iter().map(|_| AtomicBool::new(false)).collect(),
            left: AtomicUsize::new(values.len()),
        };
        for (at, value) in values.iter().enumerate() {
            let pattern = Pattern::new(value);
            let has_globs = matches!(kind, Course | EventType);
            if has_globs && !pattern.is_exact() {
                new.globs.push((at, pattern));
            } else {
                new.exact.entry(value.clone()).or_default().push(at);
            }
            if *kind == User
                && let Ok(id) = value.trim().parse()
            {
                new.ids.entry(id).or_default().push(at);
            }
        }
        Some(new)
    }

    fn note(&self, asked: &impl AskedOf) {
        match self.kind {
            ConditionKind::Course => self.note_text(asked.course()),
            ConditionKind::Site => self.note_text(asked.site()),
            ConditionKind::EventType => {
                asked.has_type(|text| {
                    self.note_text(Some(text));
                    false
                });
            }
            _ => {
                let name = asked.username();
                self.note_text(name.as_deref().map(str::trim));
                if let Some(places) = asked.user_id().and_then(|id| self.ids.get(&id)) {
                    self.meet(places);
                }
            }
        }
    }

    fn note_text(&self, text: Option<&str>) {
        let Some(text) = text else {
            return;
        };
        if let Some(places) = self.exact.get(text) {
            self.meet(places);
        }
        for (at, glob) in &self.globs {
            if !self.met[*at].load(Ordering::Relaxed) && glob.matches(text) {
                self.meet(&[*at]);
            }
        }
    }

    fn meet(&self, places: &[usize]) {
        for &at in places {
            if !self.met[at].swap(true, Ordering::Relaxed) {
                self.left.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}
