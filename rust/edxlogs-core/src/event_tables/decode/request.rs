//! What the address of a request says.

use std::borrow::Cow;

/// An address, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path, without what follows `?`.
    pub path: Option<&'a str>,
    /// What kind of page or service it leads to.
    pub route: &'static str,
    /// URL name of the chapter.
    pub chapter: Option<Cow<'a, str>>,
    /// URL name of the subsection.
    pub section: Option<Cow<'a, str>>,
    /// Place of the unit in the subsection, from 1.
    pub position: Option<i64>,
    /// Name of the handler.
    pub handler: Option<Cow<'a, str>>,
    /// What follows the handler.
    pub suffix: Option<Cow<'a, str>>,
    /// What is done in the forum.
    pub forum_action: Option<&'static str>,
    /// The thread.
    pub thread_id: Option<Cow<'a, str>>,
    /// The response or comment.
    pub comment_id: Option<Cow<'a, str>>,
    /// The topic of the forum.
    pub commentable_id: Option<Cow<'a, str>>,
    /// The person whose page it is: a name or a number.
    pub lookup_name: Option<Cow<'a, str>>,
    /// The key of the block.
    pub block_key: Option<Cow<'a, str>>,
}

/// Takes an address apart.
pub fn request(_address: &str) -> Request<'_> {
    todo!()
}
