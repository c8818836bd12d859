//! Laws of sharing: what one has built, another need not; what nobody looks at need not be there.
//!
//! Source: Build Systems à la Carte (JFP 2020), sections 2.4 and 8.4.

use super::{Broken, Make, build, replay};
use crate::case::Case;
use crate::log::Event;
use crate::project::Project;
use crate::system::System;
use crate::value::Key;

/// Another system that knows what the first one has built, and the project as it is then.
fn second(case: &Case, make: Make<'_>) -> Result<(System, Project), Broken> {
    let mut first = make();
    let project = replay(case, &mut first, |_, _, _, _| Ok(()))?;
    let mut second = make();
    first.share(&mut second);
    Ok((second, project))
}

/// The second to build a project runs nothing.
pub fn sharing(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let (mut system, project) = second(case, make)?;
    let log = build(&mut system, &project, &project.sinks())?;
    match log.ran().first() {
        Some(key) => Err(format!("{key:?} ran although another has built it")),
        None => Ok(()),
    }
}

/// The second to build a project runs nothing and fetches the targets alone.
pub fn shallow(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let (mut system, project) = second(case, make)?;
    let targets = project.sinks();
    let log = build(&mut system, &project, &targets)?;
    let needless = log.events.iter().find(|event| match event {
        Event::Fetched(key) => !targets.contains(key),
        Event::Ran(_) => true,
        _ => false,
    });
    needless.map_or(Ok(()), |event| Err(format!("{event:?} was not necessary")))
}

/// After the loss of every value that is no target, a null build runs nothing.
pub fn eviction(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    let project = replay(case, &mut system, |_, _, _, _| Ok(()))?;
    let targets = project.sinks();
    let kept: Vec<_> = targets.iter().filter_map(|key| system.store.entry(*key)).collect();
    for key in project.rules().map(Key::Node) {
        // equal values are one value
        if !system.store.entry(key).is_some_and(|e| kept.iter().any(|k| k.digest == e.digest)) {
            system.store.evict(key);
        }
    }
    let log = build(&mut system, &project, &targets)?;
    match log.ran().first() {
        Some(key) => Err(format!("{key:?} ran although nobody looks at it")),
        None => Ok(()),
    }
}
