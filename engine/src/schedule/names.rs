//! Sets of a derivation's outputs, as small as the scheduler needs them: it keeps one for each node.

use floe_core::path::OutputName;

use crate::recipe::Recipe;

/// Some outputs of one recipe, by their places in its list. Those from the 64th on are in a set
/// together: more than is needed may be asked of such a recipe, never less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Names(u64);

/// The place that all later ones share.
const LAST: usize = 63;

impl Names {
    /// The set of these outputs.
    pub(super) fn of(recipe: &Recipe, names: &[OutputName]) -> Names {
        let place = |name: &OutputName| {
            let place = recipe.outputs.iter().position(|output| output == name);
            place.expect("evaluation names only outputs that exist").min(LAST)
        };
        Names(names.iter().fold(0, |set, name| set | 1 << place(name)))
    }

    /// Both together.
    pub(super) fn and(self, other: Names) -> Names {
        Names(self.0 | other.0)
    }

    /// Whether it holds of all of them.
    pub(super) fn all(self, recipe: &Recipe, mut holds: impl FnMut(&OutputName) -> bool) -> bool {
        let mut outputs = recipe.outputs.iter().enumerate();
        outputs.all(|(place, name)| self.0 >> place.min(LAST) & 1 == 0 || holds(name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::recipe::{Head, Kind, Text};

    #[test]
    fn holds_what_was_put_in_and_never_less() {
        let mut outputs: Vec<OutputName> =
            (0..80).map(|at| OutputName::new(&format!("o{at}")).expect("a valid name")).collect();
        outputs.sort();
        let head = Head {
            name: Arc::from("many"),
            outputs: outputs.as_slice().into(),
            kind: Kind::InputAddressed,
            deps: Arc::new([]),
        };
        let recipe = Recipe::new(head, Text::default());
        let held = |set: Names| {
            let mut held = Vec::new();
            set.all(&recipe, |name| {
                held.push(name.clone());
                true
            });
            held
        };
        assert!(held(Names::default()).is_empty());
        for at in [0, 1, 62] {
            let one = Names::of(&recipe, &outputs[at..=at]);
            assert_eq!(held(one), [outputs[at].clone()]);
            assert_eq!(held(one.and(Names::of(&recipe, &outputs[5..6]))).len(), 2);
        }
        assert_eq!(held(Names::of(&recipe, &outputs[70..71])), outputs[63..]);
    }
}
