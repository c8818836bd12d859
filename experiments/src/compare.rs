//! Two runs of one study: whether what must be the same is the same, how the measures moved, and whether they stayed within
//! the intervals that were stated.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{Results, Row};
use crate::stats::{self, Estimate};

/// The field that tells the runs of one and the same thing apart.
const REPETITION: &str = "repetition";

/// What two runs say of each other.
#[derive(Debug, Default, PartialEq)]
pub struct Agreement {
    /// Values that must be equal, and are.
    pub same: usize,
    /// Those that are not: where, before, after.
    pub differ: Vec<(String, Value, Value)>,
    /// Of each measure of each row, after by before.
    pub ratios: BTreeMap<String, Vec<f64>>,
    /// Rows that one of them lacks.
    pub missing: Vec<String>,
}

/// Whether a field is a measure, which may differ.
pub fn is_measure(name: &str) -> bool {
    ["_ms", "_s", "_bytes", "_kb", "_share"].iter().any(|ending| name.ends_with(ending))
}

/// Sets two runs side by side: rows of equal trials, in their order.
pub fn compare(before: &Results, after: &Results) -> Agreement {
    let mut agreement = Agreement::default();
    let (before, after) = (by_trial(&before.rows), by_trial(&after.rows));
    for trial in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
        let (Some(old), Some(new)) = (before.get(trial), after.get(trial)) else {
            agreement.missing.push((*trial).to_owned());
            continue;
        };
        if old.len() != new.len() {
            let place = format!("rows of {trial}");
            agreement.differ.push((place, Value::from(old.len()), Value::from(new.len())));
        }
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            row(&format!("{trial} row {}", at + 1), old, new, &mut agreement);
        }
    }
    agreement
}

/// How the medians of a second run stand to the intervals of a first one.
#[derive(Debug, Default, PartialEq)]
pub struct Kept {
    /// Medians that were set beside an interval.
    pub of: usize,
    /// Those that lie outside: where, what was stated, what it is now.
    pub beyond: Vec<(String, Estimate, f64)>,
}

impl Kept {
    /// How many lie within.
    pub fn within(&self) -> usize {
        self.of - self.beyond.len()
    }

    /// Whether as many do as the report says: 95 of 100.
    pub fn enough(&self) -> bool {
        self.within() * 100 >= self.of * 95
    }
}

/// Holds the medians of a measure to the intervals that the earlier run gave, widened by a factor at both ends. Repetitions
/// are brought together; what the later run repeated less than half as often is left out: its median would say too little.
pub fn kept(before: &Results, after: &Results, measure: &str, factor: f64) -> Kept {
    let (old, new) = (by_request(&before.rows, measure), by_request(&after.rows, measure));
    let mut kept = Kept::default();
    for (request, (place, values)) in old {
        let Some((_, now)) = new.get(&request).filter(|(_, now)| now.len() * 2 >= values.len())
        else {
            continue;
        };
        let (Some(stated), Some(now)) = (stats::estimate(&values), stats::estimate(now)) else {
            continue;
        };
        kept.of += 1;
        if now.median < stated.low / factor || now.median > stated.high * factor {
            kept.beyond.push((place, stated, now.median));
        }
    }
    kept
}

/// The values of a measure by what was asked: all fields but measures and the repetition. With the first row's place.
fn by_request(rows: &[Row], measure: &str) -> BTreeMap<String, (String, Vec<f64>)> {
    let mut found: BTreeMap<String, (String, Vec<f64>)> = BTreeMap::new();
    for (trial, rows) in by_trial(rows) {
        for (at, row) in rows.into_iter().enumerate() {
            let Some(value) = row.fields.get(measure).and_then(Value::as_f64) else { continue };
            let mut request = row.fields.clone();
            request.retain(|name, _| !is_measure(name) && name != REPETITION);
            let request = Value::Object(request).to_string();
            let place = || (format!("{trial} row {}", at + 1), Vec::new());
            found.entry(request).or_insert_with(place).1.push(value);
        }
    }
    found
}

fn by_trial(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut found: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        found.entry(&row.trial).or_default().push(row);
    }
    found
}

fn row(place: &str, old: &Row, new: &Row, agreement: &mut Agreement) {
    let names =
        old.fields.keys().chain(new.fields.keys().filter(|name| !old.fields.contains_key(*name)));
    for name in names {
        let pair = (
            old.fields.get(name).unwrap_or(&Value::Null),
            new.fields.get(name).unwrap_or(&Value::Null),
        );
        if is_measure(name) {
            if let (Some(before), Some(after)) = (pair.0.as_f64(), pair.1.as_f64())
                && before > 0.0
            {
                agreement.ratios.entry(name.clone()).or_default().push(after / before);
            }
        } else if pair.0 == pair.1 {
            agreement.same += 1;
        } else {
            agreement.differ.push((format!("{place}, {name}"), pair.0.clone(), pair.1.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results(rows: &[(&str, Value)]) -> Results {
        let row = |(trial, fields): &(&str, Value)| Row {
            trial: (*trial).to_owned(),
            fields: fields.as_object().expect("an object").clone(),
        };
        Results { rows: rows.iter().map(row).collect(), ..Results::default() }
    }

    #[test]
    fn counts_must_agree_and_times_may_not() {
        let before =
            results(&[("a", json!({"built": 3, "wall_ms": 10.0})), ("b", json!({"built": 1}))]);
        let after =
            results(&[("a", json!({"built": 4, "wall_ms": 15.0})), ("c", json!({"built": 1}))]);
        let agreement = compare(&before, &after);
        assert_eq!(agreement.differ, [("a row 1, built".to_owned(), json!(3), json!(4))]);
        assert_eq!(agreement.ratios["wall_ms"], [1.5]);
        assert_eq!(agreement.missing, ["b", "c"]);
        assert_eq!(compare(&before, &before).same, 2);
    }

    #[test]
    fn medians_are_held_to_the_widened_intervals() {
        let run = |times: [f64; 3], other: f64| {
            let mut rows: Vec<(String, Value)> = times
                .iter()
                .enumerate()
                .map(|(at, ms)| {
                    (format!("x/{at}"), json!({"edit": "x", "repetition": at, "wall_ms": ms}))
                })
                .collect();
            rows.push(("y".to_owned(), json!({"edit": "y", "wall_ms": other})));
            results(&rows.iter().map(|(key, row)| (&**key, row.clone())).collect::<Vec<_>>())
        };
        let before = run([10.0, 11.0, 14.0], 5.0);
        assert_eq!(kept(&before, &run([1.0, 15.0, 99.0], 4.6), "wall_ms", 1.1).within(), 2);
        let moved = kept(&before, &run([9.0, 16.0, 17.0], 4.0), "wall_ms", 1.1);
        let places: Vec<_> = moved.beyond.iter().map(|(place, _, now)| (&**place, *now)).collect();
        assert_eq!(places, [("x/0 row 1", 16.0), ("y row 1", 4.0)]);
        assert!(!moved.enough());
        let mut fewer = run([99.0, 99.0, 99.0], 5.0);
        fewer.rows.drain(..2);
        assert_eq!(kept(&before, &fewer, "wall_ms", 1.1), Kept { of: 1, beyond: Vec::new() });
    }
}
