//! Multiple outputs: each file that a rule writes as a key of its own, so that users of one file are not users of the
//! others. A layer over any tasks; knows no scheduler and no rebuilder.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.7: one key for what the command makes, and for each output a key
//! whose task takes its part out. This is what declaring outputs means in Make, Ninja, Shake, Tup and Bazel.

use std::collections::BTreeMap;

use crate::task::{Blocked, Look, Mentions, Part, Seen, Task, Tasks, World};
use crate::value::{File, Key, Value};

/// The same tasks, whose looks at single files go to the keys of those files.
pub struct Outputs<'a>(pub &'a dyn Tasks);

/// Where a look goes: a file of something that is made has its own key, sources have not.
fn redirect(tasks: &dyn Tasks, key: Key, look: Look) -> (Key, Look) {
    match (key, look) {
        (Key::Node(node), Look::File(file)) if tasks.task(key).is_some() => {
            (Key::File(node, file), look)
        }
        other => other,
    }
}

impl Tasks for Outputs<'_> {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        match key {
            Key::File(node, file) => Some(Box::new(Taken { node, file })),
            _ => Some(Box::new(Redirected { tasks: self.0, task: self.0.task(key)? })),
        }
    }
}

/// The task of a file: take it out of what the command made.
struct Taken {
    node: u16,
    file: File,
}

impl Task for Taken {
    fn mentions(&self) -> Mentions {
        Mentions { looks: vec![(Key::Node(self.node), Look::Whole)], complete: true, certain: 1 }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        Ok(match world.look(Key::Node(self.node), Look::Whole)?.part {
            Part::Failed(key) => Value::Failed(key),
            Part::Texts(texts) => {
                let mine = texts.into_iter().filter(|(file, _)| *file == self.file);
                Value::Tree(mine.collect())
            }
            Part::Absent | Part::Listing(_) => Value::Tree(BTreeMap::new()),
        })
    }

    fn is_command(&self) -> bool {
        false
    }
}

/// A command that looks for files at their own keys.
struct Redirected<'a> {
    tasks: &'a dyn Tasks,
    task: Box<dyn Task + 'a>,
}

struct Redirecting<'a> {
    tasks: &'a dyn Tasks,
    world: &'a mut dyn World,
}

impl World for Redirecting<'_> {
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked> {
        let (key, what) = redirect(self.tasks, key, what);
        self.world.look(key, what)
    }

    fn random(&mut self, below: u64) -> u64 {
        self.world.random(below)
    }
}

impl Task for Redirected<'_> {
    fn mentions(&self) -> Mentions {
        let mut mentions = self.task.mentions();
        for (key, look) in &mut mentions.looks {
            (*key, *look) = redirect(self.tasks, *key, *look);
        }
        mentions
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        self.task.run(&mut Redirecting { tasks: self.tasks, world })
    }

    fn is_command(&self) -> bool {
        self.task.is_command()
    }
}
