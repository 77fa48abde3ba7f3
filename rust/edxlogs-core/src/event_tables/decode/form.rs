//! Forms as browsers send them.

use super::Flags;

/// A form as the JSON text of an object: each key with its text, or with the list of its texts where
/// it stands more than once or ends in `[]`. Keys go without `input_`, `[]` and `{}`, in the order in
/// which they are first seen.
pub fn to_json(_form: &str, _flags: &mut Flags) -> String {
    todo!()
}
