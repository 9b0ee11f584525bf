//! Chains: who needs whom, and what follows from that.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Point,
    scratch::{Link, Marks, Row},
};
use crate::model::RecordId;

/// Finds each row's parent; leaves `links` empty where no record has one.
pub(super) fn link(rows: &[Row], points: &[Point], ids: &mut Vec<(RecordId, usize)>, links: &mut Vec<Link>) {
    ids.clear();
    links.clear();
    if points.iter().all(|point| point.parent.is_none()) {
        return;
    }
    let point = |row: &Row| points.get(row.index);
    ids.extend(rows.iter().enumerate().filter_map(|(place, row)| Some((point(row)?.id, place))));
    ids.sort_unstable();
    links.extend(rows.iter().map(|row| {
        let parent = point(row).and_then(|point| point.parent);
        let known = parent.and_then(|id| ids.binary_search_by_key(&id, |(known, _)| *known).ok());
        Link {
            parent: known.and_then(|found| ids.get(found)).map(|(_, place)| *place),
            needed_by: None,
            found_bad_at: point(row).and_then(|point| point.found_bad_at),
        }
    }));
    inherit_badness(links);
}

/// A child of a bad record is bad, from the same finding.
fn inherit_badness(links: &mut [Link]) {
    if links.iter().all(|link| link.found_bad_at.is_none()) {
        return;
    }
    // Oldest first, so that one pass is enough but where a parent claims to be the newer one.
    let mut changed = true;
    while changed {
        changed = false;
        for place in (0..links.len()).rev() {
            let parents = links.get(place).and_then(|link| link.parent).and_then(|parent| links.get(parent));
            let Some(finding) = parents.and_then(|parent| parent.found_bad_at) else { continue };
            let Some(link) = links.get_mut(place) else { continue };
            if link.found_bad_at.is_none_or(|own| finding < own) {
                link.found_bad_at = Some(finding);
                changed = true;
            }
        }
    }
}

/// Marks the ancestors of all that stays.
pub(super) fn keep_ancestors(rows: &mut [Row], points: &[Point], links: &mut [Link]) {
    for start in 0..links.len() {
        let mut child = start;
        while rows.get(child).is_some_and(|row| row.marks.stays()) {
            let Some(parent) = links.get(child).and_then(|link| link.parent) else { break };
            let id = rows.get(child).and_then(|row| points.get(row.index)).map(|point| point.id);
            let (Some(link), Some(row)) = (links.get_mut(parent), rows.get_mut(parent)) else { break };
            if link.needed_by.is_some() {
                break;
            }
            link.needed_by = id;
            row.marks.set(Marks::ANCESTOR);
            child = parent;
        }
    }
}

/// The order in which records may be deleted: each before the one that it rests on, so that what
/// is left is usable wherever the work stops. Equal depths keep their given order.
///
/// `records` are (record, parent); parents that are not among them do not matter.
#[must_use]
pub fn leaves_first(records: &[(RecordId, Option<RecordId>)]) -> Vec<RecordId> {
    let parents: BTreeMap<_, _> = records.iter().copied().collect();
    let depth = |id: RecordId| {
        let mut seen = BTreeSet::from([id]);
        let mut at = id;
        while let Some(Some(parent)) = parents.get(&at)
            && parents.contains_key(parent)
            && seen.insert(*parent)
        {
            at = *parent;
        }
        seen.len()
    };
    let mut order: Vec<_> = records.iter().map(|(id, _)| (depth(*id), *id)).collect();
    order.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    order.into_iter().map(|(_, id)| id).collect()
}
