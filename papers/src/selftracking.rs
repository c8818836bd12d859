//! Self-tracking: a task depends on its own text. A layer over any tasks; knows no scheduler and no rebuilder.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.8: a key is computed by first fetching its script, which is a
//! key as well, and then running it. Excel, Ninja (which hashes the command line) and Nix (whose derivation holds the
//! builder and its arguments) do so; Make and Shake do not.

use crate::task::{Blocked, Look, Mentions, Task, Tasks, World};
use crate::value::{Key, Value};

/// The same tasks, each of which looks at its script first.
pub struct SelfTracking<'a>(pub &'a dyn Tasks);

struct Tracked<'a> {
    script: Key,
    task: Box<dyn Task + 'a>,
}

impl Tasks for SelfTracking<'_> {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        let task = self.0.task(key)?;
        Some(match key {
            Key::Node(node) => Box::new(Tracked { script: Key::Script(node), task }),
            _ => task,
        })
    }
}

impl Task for Tracked<'_> {
    fn mentions(&self) -> Mentions {
        let mut mentions = self.task.mentions();
        mentions.looks.insert(0, (self.script, Look::Whole));
        mentions.certain += 1;
        mentions
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        world.look(self.script, Look::Whole)?;
        self.task.run(world)
    }

    fn is_command(&self) -> bool {
        self.task.is_command()
    }
}
