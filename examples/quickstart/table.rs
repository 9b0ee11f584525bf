//! The table at the end.

use aegis::model::{BackupRecord, RecordState};

use crate::text;

const HEAD: [&str; 8] =
    ["RECOVERY POINT (UTC)", "OF", "KIND", "LOGICAL", "STORED", "ADDED", "VERIFIED", "STATE"];
/// Columns of figures, which stand to the right.
const FIGURES: std::ops::RangeInclusive<usize> = 3..=5;

/// The recovery points, one a line.
pub(crate) fn of_records<'a>(records: impl Iterator<Item = (&'a BackupRecord, &'a str)>) -> Vec<String> {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(records.map(|(record, of)| row(record, of)));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn row(record: &BackupRecord, of: &str) -> [String; HEAD.len()] {
    [
        text::instant(record.recovery_point.at),
        of.to_owned(),
        record.kind.to_string(),
        text::size(record.sizes.logical),
        text::size(record.sizes.stored),
        text::size(record.sizes.added),
        record.verified().map_or_else(|| "–".to_owned(), |(level, _)| level.to_string()),
        state(record),
    ]
}

fn state(record: &BackupRecord) -> String {
    match (record.state(), record.partial, record.found_bad.is_some()) {
        (RecordState::Available, _, true) => "found bad".to_owned(),
        (RecordState::Available, true, false) => "partial".to_owned(),
        (RecordState::Available, false, false) => "available".to_owned(),
        (state, ..) => state.to_string(),
    }
}

fn line(row: &[String; HEAD.len()], widths: &[usize; HEAD.len()]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        if FIGURES.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
