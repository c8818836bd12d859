//! Which system is said to keep which law: `claims` holds a law a line, then the systems that keep it. The tests find each
//! claim and each absence of one confirmed, the tables must agree, and long searches take the claims for their work.

use crate::laws::Law;
use crate::systems::{MODELS, Model, OTHERS};

/// The systems that are said to keep a law.
pub fn keepers(law: &Law) -> Vec<&'static Model> {
    let all = include_str!("claims").lines().filter_map(|line| line.split_once(": "));
    let line =
        all.into_iter().find(|(name, _)| *name == law.name).map_or("", |(_, systems)| systems);
    let names: Vec<&str> = line.split("; ").collect();
    MODELS.iter().chain(&OTHERS).filter(|model| names.contains(&model.name)).collect()
}

/// Whether a system is said to keep a law.
pub fn claimed(law: &Law, model: &Model) -> bool {
    keepers(law).iter().any(|keeper| keeper.name == model.name)
}
