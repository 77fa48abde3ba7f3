//! Counts that add up: what became of every line of a source, and of every row of a table.

use crate::frame::names::names;

macro_rules! counted_names {
    ($(#[$doc:meta])* $name:ident, $set:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal,)* }) => {
        names! { $(#[$doc])* $name { $($(#[$item_doc])* $item = $text,)* } }

        #[doc = concat!("A set of [`", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set(u32);

        impl $set {
            /// Adds one.
            pub fn insert(&mut self, item: $name) {
                self.0 |= 1 << item as u32;
            }

            /// Whether it holds `item`.
            pub fn contains(self, item: $name) -> bool {
                self.0 >> item as u32 & 1 == 1
            }

            /// What either holds.
            #[must_use]
            pub fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Whether it holds none.
            pub fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Those in it.
            pub fn iter(self) -> impl Iterator<Item = $name> {
                $name::ALL.iter().copied().filter(move |&item| self.contains(item))
            }
        }
    };
}

counted_names! {
    /// What was mended to make an event of a line.
    Mend, MendSet {
        /// What a log shipper had put around the event was taken off.
        Envelope = "envelope",
        /// Text before the `{` was cut off.
        Prefix = "prefix",
        /// Bytes that are not UTF-8 became U+FFFD.
        Utf8 = "utf8",
        /// A byte order mark was cut off.
        Bom = "bom",
        /// NULs around the object were cut off.
        Nul = "nul",
        /// A lone surrogate escape became U+FFFD.
        Surrogate = "surrogate",
        /// `NaN` or an infinity became null.
        Nan = "nan",
        /// A key that is read stood twice: the last counts.
        DuplicateKey = "duplicate_key",
        /// A raw control character in a string was escaped.
        ControlCharacter = "control_character",
        /// Text after the event was cut off.
        TrailingText = "trailing_text",
        /// The line held several events.
        Concatenated = "concatenated",
        /// A whole event stood inside a torn one.
        Interleaved = "interleaved",
        /// The event was written as JSON text once more.
        NestedJson = "nested_json",
        /// The event was the only element of an array.
        Array = "array",
        /// The platform's in-process shape: `data` or `timestamp` for `event` or `time`.
        PrelogShape = "prelog_shape",
        /// MongoDB's extended JSON.
        MongoExport = "mongo_export",
    }
}

counted_names! {
    /// What is odd about an event that needed no mending.
    Odd, OddSet {
        /// No readable time: the column is null.
        NoTime = "no_time",
        /// A time in a form that the platform does not write.
        TimeFormat = "time_format",
        /// Neither `event_type` nor `name`.
        NoEventType = "no_event_type",
        /// The context is no object.
        ContextType = "context_type",
        /// A user id that is no plain integer.
        UserId = "user_id",
        /// A course id that was trimmed, decoded, or taken from a longer key.
        CourseRepaired = "course_repaired",
        /// `context.org_id` differs from the organisation of the course.
        OrgDiffers = "org_differs",
        /// A payload that begins like JSON text but is none: cut or broken.
        PayloadNotJson = "payload_not_json",
        /// A number that 64 bits do not hold exactly.
        NumberRange = "number_range",
    }
}

counted_names! {
    /// Why no event can be read from a line, or no row of a table.
    Reason, ReasonSet {
        /// There is no `{`.
        NoObject = "no_object",
        /// The line ends inside its object.
        Truncated = "truncated",
        /// The grammar of JSON is broken.
        BadJson = "bad_json",
        /// JSON, but not one object.
        NotAnObject = "not_an_object",
        /// An object without the keys that make one an event.
        NotAnEvent = "not_an_event",
        /// Longer than the limit.
        TooLong = "too_long",
        /// Nested deeper than 500.
        TooDeep = "too_deep",
        /// A piece of a message, without the others.
        Piece = "piece",
        /// Would need a mend, which `--strict` refuses.
        Strict = "strict",
        /// A row of another number of fields than its header.
        Fields = "fields",
        /// A row in which a quote has no end.
        Quote = "quote",
    }
}

macro_rules! sums {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$sum_doc:meta])* $sum:ident,)*
    } and {
        $($(#[$rest_doc:meta])* $rest:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$sum_doc])* pub $sum: u64,)*
            $($(#[$rest_doc])* pub $rest: $type,)*
        }

        impl $name {
            /// The counts that are one number each, with their names.
            pub fn sums(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($sum), self.$sum),)*].into_iter()
            }

            fn add_sums(&mut self, other: &Self) {
                $(self.$sum += other.$sum;)*
            }
        }
    };
}

sums! {
    /// What was done with the lines of one source, or of several added up.
    Stats {
        /// Bytes read, as they came: compressed where they are, decrypted.
        bytes_read,
        /// Bytes of text.
        bytes_expanded,
        /// Physical lines. The classes below add up to it.
        lines,
        /// Lines of white space or NULs alone.
        blank,
        /// Lines that no event can be read from.
        rejected,
        /// Lines of which an event was selected.
        kept,
        /// Lines that were not selected.
        dropped,
        /// Lines that would be kept, had not one before them been the same.
        duplicate,
        /// Lines that were parsed; mends, rejects and odd values are counted over these.
        parsed,
        /// Dropped lines that were parsed all the same, to check the prefilter.
        sampled,
        /// Pieces of messages that were joined to the first one's line, and are in its class.
        joined,
        /// Rejected lines that a log shipper wrapped soundly around something else than an event.
        hollow,
        /// Events in the first lines, which are always parsed; broken ones too.
        first_events,
        /// Rejected lines among them.
        first_rejects,
        /// Rejected lines that are a `{` alone: an event printed on several lines begins so.
        lone_braces,
        /// Events selected.
        rows,
        /// Selected events dated more than a day before the day in their file's name.
        late,
        /// Gzip members.
        members,
        /// Bytes after the last gzip member that are neither a member nor zero padding.
        trailing_bytes,
    } and {
        /// Most days between an event's day and the day in its file's name.
        latest_days: u64,
        /// Rejected lines by reason.
        reasons: [u64; Reason::ALL.len()],
        /// Parsed events by mend.
        mends: [u64; Mend::ALL.len()],
        /// Selected events by oddity.
        odd: [u64; Odd::ALL.len()],
        /// Selected events by the number of the table that is their home, where tables are asked for.
        homes: Vec<u64>,
    }
}

impl Stats {
    /// Whether the classes add up to the lines, and the reasons to the rejects.
    pub fn adds_up(&self) -> bool {
        self.blank + self.rejected + self.kept + self.dropped + self.duplicate == self.lines
            && self.reasons.iter().sum::<u64>() == self.rejected
            && self.kept <= self.rows + self.joined
    }

    /// Makes the classes add up where reading ended within the text: pieces of a message that was
    /// kept count as read, and those of one whose end was not reached as not selected.
    pub fn close_classes(&mut self) {
        let classes = self.blank + self.rejected + self.kept + self.dropped + self.duplicate;
        self.lines = self.lines.max(classes);
        self.dropped += self.lines - classes;
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.add_sums(other);
        self.latest_days = self.latest_days.max(other.latest_days);
        add_each(&mut self.reasons, &other.reasons);
        add_each(&mut self.mends, &other.mends);
        add_each(&mut self.odd, &other.odd);
        self.homes.resize(self.homes.len().max(other.homes.len()), 0);
        add_each(&mut self.homes, &other.homes);
    }

    /// Counts an event of a home.
    pub fn count_home(&mut self, home: usize) {
        self.homes.resize(self.homes.len().max(home + 1), 0);
        self.homes[home] += 1;
    }
}

fn add_each(counts: &mut [u64], others: &[u64]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count += other;
    }
}

sums! {
    /// Counts of a file, or of a stretch of one, of which the first may have a header. `rows` are
    /// `rows_written`, `rejected` and `left`.
    TableStats {
        /// Bytes of text.
        bytes_expanded,
        /// Physical lines that hold nothing at all.
        blank,
        /// Rows read, the header aside.
        rows,
        /// Rows handed on.
        rows_written,
        /// Rows of courses that were not asked for.
        left,
        /// Zero dates, which are null.
        zero_dates,
        /// Values that are not UTF-8: U+FFFD stands for what is not.
        utf8,
        /// NUL characters that were left out.
        nul,
        /// Rows whose line ended at CR and LF, as the header's did.
        crlf,
    } and {
        /// Rows that cannot be read, by reason.
        rejected: [u64; Reason::ALL.len()],
        /// Values that do not fit the type of their column, by column.
        misfits: Vec<u64>,
        /// Whether values were written as Python's bytes literals.
        literals: bool,
        /// Columns of the file that the table does not have, kept in `extra`.
        unknown_columns: Vec<String>,
        /// Columns of the table that the file does not have, null.
        missing_columns: Vec<String>,
        /// Course ids of the rows with how many are of each, the first ones met.
        courses: Vec<(String, u64)>,
    }
}

/// Course ids that are counted; a file of one course holds one, unless it is odd.
const MOST_COURSES: usize = 16;

impl TableStats {
    /// Adds what comes after.
    pub fn add(&mut self, after: &Self) {
        self.add_sums(after);
        add_each(&mut self.rejected, &after.rejected);
        self.misfits.resize(self.misfits.len().max(after.misfits.len()), 0);
        add_each(&mut self.misfits, &after.misfits);
        self.literals |= after.literals;
        self.unknown_columns.extend_from_slice(&after.unknown_columns);
        self.missing_columns.extend_from_slice(&after.missing_columns);
        for (course, rows) in &after.courses {
            self.note_course(course, *rows);
        }
    }

    /// Counts rows of a course.
    pub fn note_course(&mut self, course: &str, rows: u64) {
        if let Some((_, count)) = self.courses.iter_mut().find(|(known, _)| known == course) {
            *count += rows;
        } else if self.courses.len() < MOST_COURSES && !course.is_empty() {
            self.courses.push((course.to_owned(), rows));
        }
    }
}
