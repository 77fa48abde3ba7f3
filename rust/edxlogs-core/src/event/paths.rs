//! The paths that are asked of events. A payload, a context and a line are each walked once for all
//! of them.

use std::sync::Arc;

use crate::json::path::{Paths, Segment};

/// Where the first key of a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// `event`: into the payload.
    Payload,
    /// `context`: into the context.
    Context,
    /// Any other: into the line.
    Line,
}

/// The paths that are asked of events.
#[derive(Debug, Default)]
pub struct EventPaths {
    /// Each as it was asked, and its number behind its root.
    asked: Vec<(Arc<[Segment]>, Root, usize)>,
    behind: [Paths; 3],
}

impl EventPaths {
    /// The paths, each of which starts with a key.
    pub fn new<'p>(paths: impl Iterator<Item = &'p Arc<[Segment]>>) -> Self {
        let mut all = Self::default();
        for path in paths {
            let (root, rest) = match path.split_first() {
                Some((Segment::Key(key), rest)) if key == "event" => (Root::Payload, rest),
                Some((Segment::Key(key), rest)) if key == "context" => (Root::Context, rest),
                _ => (Root::Line, &path[..]),
            };
            let number = all.behind[root as usize].add(rest.iter().map(Segment::step));
            all.asked.push((Arc::clone(path), root, number));
        }
        all
    }

    /// The root of a path that is asked, and its number behind that.
    pub(super) fn place(&self, path: &Arc<[Segment]>) -> Option<(Root, usize)> {
        // They are few, and the one that is asked is mostly the one that was kept.
        let same = self.asked.iter().find(|(asked, ..)| Arc::ptr_eq(asked, path));
        same.map(|&(_, root, number)| (root, number))
    }

    /// The paths behind a root.
    pub(super) fn behind(&self, root: Root) -> &Paths {
        &self.behind[root as usize]
    }
}
