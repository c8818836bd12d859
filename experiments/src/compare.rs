//! Two runs of one study: whether what must be the same is the same, and how the measures moved.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{Results, Row};

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
}
