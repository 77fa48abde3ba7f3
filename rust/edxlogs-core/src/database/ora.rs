//! Open response assessments of a course: its tables joined into one, a row a submission, with the
//! learner, the score, and all assessments as JSON.
//!
//! Submissions are named by a UUID that stands with hyphens in some tables and without in others.
//! Learners stand under anonymous ids, which `student_anonymoususerid` resolves.
//!
//! Source: EdX Research Guide, "ORA2 Data"; edx-ora2 and edx-submissions, models.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};

use crate::database::builder::TableBuilder;
use crate::database::{Gather, Table};
use crate::error::Result;
use crate::frame::source::SourceInfo;
use crate::frame::types::Value;
use crate::json::node::Node;
use crate::part::spool::RejectedRows;
use crate::time::push_iso;

/// Rows of the tables of one course, by the names of the tables.
#[derive(Default)]
pub struct OraJoin {
    batches: HashMap<String, Vec<RecordBatch>>,
}

/// One row of a table.
#[derive(Clone, Copy)]
struct OraRow<'a> {
    batch: &'a RecordBatch,
    at: usize,
}

impl<'a> OraRow<'a> {
    fn column(self, name: &str) -> Option<&'a dyn Array> {
        let column = self.batch.column_by_name(name)?.as_ref();
        (!column.is_null(self.at)).then_some(column)
    }

    fn int(self, name: &str) -> Option<i64> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>()?;
        Some(column.value(self.at))
    }

    fn time(self, name: &str) -> Option<i64> {
        let column = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(column.value(self.at))
    }

    fn text(self, name: &str) -> Option<&'a str> {
        Some(self.column(name)?.as_string_opt::<i32>()?.value(self.at))
    }
}

impl OraJoin {
    /// Forgets the rows of a table, which is read anew.
    pub fn begin(&mut self, table: &str) {
        self.batches.insert(table.to_owned(), Vec::new());
    }

    /// Takes rows of a table.
    pub fn take(&mut self, table: &str, batch: RecordBatch) {
        self.batches.entry(table.to_owned()).or_default().push(batch);
    }

    fn rows(&self, table: &str) -> impl Iterator<Item = OraRow<'_>> {
        let batches = self.batches.get(table).map_or(&[][..], Vec::as_slice);
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| OraRow { batch, at }))
    }

    /// The rows of a table by a number of theirs; the last of several.
    fn by_int(&self, table: &str, column: &str) -> HashMap<i64, OraRow<'_>> {
        self.rows(table).filter_map(|row| Some((row.int(column)?, row))).collect()
    }

    /// The rows of a table by a text of theirs, hyphens left out; the last of several.
    fn by_uuid(&self, table: &str, column: &str) -> HashMap<String, OraRow<'_>> {
        self.rows(table).filter_map(|row| Some((bare(row.text(column)?), row))).collect()
    }

    /// Hands on the joined rows, in the order of the submissions; how many.
    ///
    /// # Errors
    /// Those of `consume`.
    pub fn join(&self, table: &Table, source: &SourceInfo, consume: Gather<'_>) -> Result<u64> {
        let items = self.by_int("submissions_studentitem", "id");
        let scores = self.by_int("submissions_score", "submission_id");
        let workflows = self.by_uuid("workflow_assessmentworkflow", "submission_uuid");
        let feedback = self.by_uuid("assessment_assessmentfeedback", "submission_uuid");
        let users = self.by_uuid("student_anonymoususerid", "anonymous_user_id");
        let assessments = self.assessments(&users);
        let none = RejectedRows::new(source, None, 0);
        let mut builder = TableBuilder::new(table, table.schema().arrow().clone(), source, none);
        for row in self.rows("submissions_submission") {
            let uuid = row.text("uuid").map(bare).unwrap_or_default();
            let item = row.int("student_item_id").and_then(|id| items.get(&id));
            let score = row.int("id").and_then(|id| scores.get(&id));
            let student = item.and_then(|item| item.text("student_id"));
            let user = student.and_then(|id| users.get(&bare(id))).and_then(|u| u.int("user_id"));
            let theirs = assessments.get(&uuid).map_or(&[][..], Vec::as_slice);
            for (at, column) in table.columns.iter().enumerate() {
                let name = column.name.as_str();
                let value = match name {
                    "submission_uuid" => text(Some(&uuid)),
                    "submission_id" => int(row.int("id")),
                    "attempt_number" | "team_submission_id" => int(row.int(name)),
                    "submitted_at" | "created_at" => time(row.time(name)),
                    "status" | "raw_answer" => text(row.text(name)),
                    "student_id" => text(student),
                    "user_id" => int(user),
                    "course_id" | "item_id" | "item_type" => {
                        text(item.and_then(|item| item.text(name)))
                    }
                    "points_earned" | "points_possible" => int(score.and_then(|s| s.int(name))),
                    "scored_at" => time(score.and_then(|score| score.time("created_at"))),
                    "workflow_status" => text(workflows.get(&uuid).and_then(|w| w.text("status"))),
                    "feedback_text" => text(feedback.get(&uuid).and_then(|f| f.text(name))),
                    "peer_assessments" => count_of(theirs, "PE"),
                    "self_assessments" => count_of(theirs, "SE"),
                    "staff_assessments" => count_of(theirs, "ST"),
                    "assessments" => {
                        let all = theirs.iter().map(|(_, assessment)| assessment.clone()).collect();
                        Value::Text(Cow::Owned(Node::Array(all).to_json()))
                    }
                    _ => Value::Null,
                };
                builder.push(at, value);
            }
            builder.end_row(builder.stats.rows + 1)?;
            builder.hand_on(consume)?;
        }
        builder.finish(consume)?;
        Ok(builder.stats.rows_written)
    }

    /// Assessments by submission, each with its type, in their order.
    fn assessments<'a>(
        &'a self,
        users: &HashMap<String, OraRow<'a>>,
    ) -> HashMap<String, Vec<(&'a str, Node<'a>)>> {
        let criteria = self.by_int("assessment_criterion", "id");
        let options = self.by_int("assessment_criterionoption", "id");
        let mut parts: HashMap<i64, Vec<Node<'_>>> = HashMap::new();
        for row in self.rows("assessment_assessmentpart") {
            let criterion = row.int("criterion_id").and_then(|id| criteria.get(&id));
            let option = row.int("option_id").and_then(|id| options.get(&id));
            let part = object([
                ("criterion", string(criterion.and_then(|criterion| criterion.text("name")))),
                ("option", string(option.and_then(|option| option.text("name")))),
                ("points", number(option.and_then(|option| option.int("points")))),
                ("feedback", string(row.text("feedback"))),
            ]);
            if let Some(assessment) = row.int("assessment_id") {
                parts.entry(assessment).or_default().push(part);
            }
        }
        let mut by_uuid: HashMap<String, Vec<(&str, Node<'_>)>> = HashMap::new();
        for row in self.rows("assessment_assessment") {
            let Some(uuid) = row.text("submission_uuid") else {
                continue;
            };
            let scorer = row.text("scorer_id");
            let user = scorer.and_then(|id| users.get(&bare(id))).and_then(|u| u.int("user_id"));
            let its = row.int("id").and_then(|id| parts.remove(&id)).unwrap_or_default();
            let assessment = object([
                ("id", number(row.int("id"))),
                ("score_type", string(row.text("score_type"))),
                ("scorer_id", string(scorer)),
                ("scorer_user_id", number(user)),
                ("scored_at", moment(row.time("scored_at"))),
                ("feedback", string(row.text("feedback"))),
                ("parts", Node::Array(its)),
            ]);
            let kind = row.text("score_type").unwrap_or_default();
            by_uuid.entry(bare(uuid)).or_default().push((kind, assessment));
        }
        by_uuid
    }
}

/// An id without hyphens, as it stands in some of the tables.
fn bare(id: &str) -> String {
    id.replace('-', "")
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::Text(Cow::Borrowed(text)))
}

fn int(number: Option<i64>) -> Value<'static> {
    number.map_or(Value::Null, Value::Int)
}

fn time(micros: Option<i64>) -> Value<'static> {
    micros.map_or(Value::Null, Value::Time)
}

fn count_of(assessments: &[(&str, Node<'_>)], kind: &str) -> Value<'static> {
    let count = assessments.iter().filter(|(its, _)| *its == kind).count();
    Value::Int(count.try_into().unwrap_or(i64::MAX))
}

fn object<'a, const N: usize>(members: [(&'static str, Node<'a>); N]) -> Node<'a> {
    Node::Object(members.map(|(name, value)| (Cow::Borrowed(name), value)).into())
}

fn string(text: Option<&str>) -> Node<'_> {
    text.map_or(Node::Null, |text| Node::String(Cow::Borrowed(text)))
}

fn number(number: Option<i64>) -> Node<'static> {
    number.map_or(Node::Null, |number| Node::Number(Cow::Owned(number.to_string())))
}

fn moment(micros: Option<i64>) -> Node<'static> {
    let Some(micros) = micros else {
        return Node::Null;
    };
    let mut iso = Vec::new();
    push_iso(micros, &mut iso);
    Node::String(Cow::Owned(String::from_utf8_lossy(&iso).into_owned()))
}
