//! Whose the records are that a record names.

use super::{Parent, RuleError};
use crate::{
    base::RecordId,
    feed::{Record, Spec},
    manifest::Manifest,
};

/// Checks that each record which is named as some member's is that member's, as far as `known` says: parents, and those named with
/// skipped members, which are updates besides. `manifest` is the version that the record names.
///
/// # Errors
/// The first one that is another's.
pub fn check_named(
    record: &Record,
    manifest: &Manifest,
    known: impl Fn(&RecordId) -> Option<Parent>,
) -> Result<(), RuleError> {
    let skipped = if let Spec::Update(update) = &record.spec { update.skipped.as_slice() } else { &[] };
    let skipped = skipped.iter().filter_map(|skip| Some((skip.member, skip.record?, true)));
    let parents = record.parents.iter().map(|parent| (parent.member, parent.record, false));
    for (place, named, is_update) in parents.chain(skipped) {
        let Some(fact) = known(&named) else { continue };
        let wanted = manifest.member_at(place);
        if wanted != Some(fact.member) || (is_update && fact.round.is_none()) {
            return Err(RuleError::Author { record: named, place, got: fact.member });
        }
    }
    Ok(())
}
