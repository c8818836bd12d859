//! The inputs of the query graph. No query is here.
#![expect(missing_docs, reason = "salsa generates constructors and setters without any")]

use std::sync::Arc;

use crate::rebuilder::Strategy;
use crate::recipe::Recipe;
use crate::resolve::Outputs;

/// A derivation as an input of the query graph. The same task keeps the same node from one
/// request to the next.
#[salsa::input]
pub struct Node {
    /// What to do.
    #[returns(ref)]
    pub recipe: Arc<Recipe>,
    /// Whose outputs it needs, in the recipe's order.
    #[returns(ref)]
    pub deps: Arc<[Node]>,
    /// Its outputs as the scheduler last knew them: what its users are resolved against.
    #[returns(ref)]
    pub outputs: Option<Arc<Outputs>>,
}

/// What every answer depends on besides the recipes.
#[salsa::input(singleton)]
pub struct Settings {
    /// The rebuilder in force.
    #[returns(copy)]
    pub strategy: Strategy,
}
