//! Making what a string depends on readable: sources and derivations' files enter the store, and
//! outputs are built (import from derivation). How, is the host's affair.

use floe_core::path::StorePath;

use crate::coerce::Coerce;
use crate::context::{Ctx, CtxElem};
use crate::error::{Error, ErrorKind, Res};
use crate::graph::{DrvId, InputSrc, Instructions};
use crate::host::Origin;
use crate::machine::Machine;
use crate::paths;
use crate::source::Loc;
use crate::value::Value;

/// What was built: an output and the store path to read it at.
pub(crate) type Built = Vec<(DrvId, usize, StorePath)>;

impl Machine {
    /// A value as an absolute path, its context realised so that it can be read.
    pub(crate) fn as_path(&mut self, value: Value, loc: Loc, what: &str) -> Res<Vec<u8>> {
        let (bytes, ctx) = self.coerced_path(value, (loc, what))?;
        let built = self.realise(ctx, loc)?;
        Ok(paths::normalise(&self.with_outputs(bytes, &built)?))
    }

    /// A value's text, everything that it names being there to be read.
    pub(crate) fn realised_text(&mut self, value: Value, at: (Loc, &str)) -> Res<Vec<u8>> {
        let (text, ctx) = self.coerced(value, Coerce::PLAIN, at)?;
        let built = self.realise(ctx, at.0)?;
        let text = self.real_bytes(&text)?;
        self.with_outputs(text, &built)
    }

    /// Text in which the placeholders of outputs that were just built are replaced by their paths.
    fn with_outputs(&self, mut text: Vec<u8>, built: &Built) -> Res<Vec<u8>> {
        for (id, output, path) in built {
            if !self.graph.is_unknown(*id, *output) {
                continue;
            }
            let placeholder = self.graph.output_text(*id, *output)?;
            while let Some(at) = memchr::memmem::find(&text, placeholder.as_bytes()) {
                text.splice(at..at + placeholder.len(), path.as_str().bytes());
            }
        }
        Ok(text)
    }

    /// Makes sure that everything in a context exists, so that it can be read.
    pub(crate) fn realise(&mut self, ctx: Ctx, loc: Loc) -> Res<Built> {
        if ctx.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = Vec::new();
        for elem in self.contexts.elems(ctx).to_vec() {
            self.note_elem(elem)?;
            match elem {
                CtxElem::Source(id) => self.put(InputSrc::Source(id), loc)?,
                CtxElem::Path(id) => {
                    let path = self.contexts.path(id).clone();
                    self.put(InputSrc::Path(path), loc)?;
                }
                CtxElem::DrvFile(id) | CtxElem::DrvDeep(id) => {
                    self.put(InputSrc::DrvFile(id), loc)?;
                }
                CtxElem::Output(id, output) => wanted.push((id, output as usize)),
            }
        }
        let Some(&(first, output)) = wanted.first() else {
            return Ok(Vec::new());
        };
        if !self.settings.import_from_derivation {
            let name = self.graph.node(first).outputs[output].name.clone();
            let drv = self.graph.shown(first)?;
            let message = format!(
                "cannot build '{drv}^{name}' during evaluation because the option 'allow-import-from-derivation' is disabled"
            );
            return Err(Error::new(ErrorKind::Restricted, loc, message));
        }
        let known: Option<Built> = wanted
            .iter()
            .map(|(id, output)| {
                let path = self.built.get(&(*id, *output))?;
                Some((*id, *output, path.clone()))
            })
            .collect();
        if let Some(known) = known {
            return Ok(known);
        }
        let paths = self.host.realise(&self.graph, &wanted).map_err(|e| Error::from(e).at(loc))?;
        let built: Built =
            wanted.into_iter().zip(paths).map(|((id, output), path)| (id, output, path)).collect();
        for (id, output, path) in &built {
            self.built.insert((*id, *output), path.clone());
        }
        Ok(built)
    }

    /// Puts a source or a derivation's file into the store, once an evaluation, and what it refers
    /// to before it; does not recurse, however long the chain.
    fn put(&mut self, wanted: InputSrc, loc: Loc) -> Res<()> {
        // Each with whether what it refers to has been seen to.
        let mut stack = vec![(wanted, false)];
        while let Some((item, ready)) = stack.pop() {
            if self.stored.contains(&item) {
                continue;
            }
            if !ready {
                let refs = self.references_of(&item)?;
                stack.push((item, true));
                stack.extend(refs.into_iter().map(|reference| (reference, false)));
                continue;
            }
            match &item {
                InputSrc::Source(id) => {
                    let path = self.graph.source_path(*id).map_err(|e| Error::from(e).at(loc))?;
                    let stored = self.host.add_source(&self.graph.source(*id), &path);
                    stored.map_err(|e| Error::from(e).at(loc))?;
                }
                InputSrc::Path(path) => {
                    self.host.ensure_path(path).map_err(|e| Error::from(e).at(loc))?;
                }
                InputSrc::DrvFile(id) => {
                    let path = self.graph.drv_path(*id)?;
                    let written = self.host.write_derivation(&path, &self.graph.file(*id)?);
                    written.map_err(|e| Error::from(e).at(loc))?;
                }
            }
            self.stored.insert(item);
        }
        Ok(())
    }

    /// What must be in the store before it.
    fn references_of(&self, item: &InputSrc) -> Res<Vec<InputSrc>> {
        Ok(match item {
            InputSrc::Path(_) => Vec::new(),
            InputSrc::Source(id) => match &self.graph.source(*id).origin {
                Origin::Text(_, refs) => refs.iter().map(|path| self.made_here(path)).collect(),
                Origin::Tree(_) | Origin::Filtered(..) => Vec::new(),
            },
            InputSrc::DrvFile(id) => {
                let Instructions { input_drvs, input_srcs, .. } = self.graph.instructions(*id);
                let drvs = input_drvs.into_iter();
                let drvs = drvs.map(|input| InputSrc::DrvFile(self.graph.outermost(input.drv)));
                drvs.chain(input_srcs).collect()
            }
        })
    }

    /// A store path, as what this evaluation knows it to be.
    fn made_here(&self, path: &StorePath) -> InputSrc {
        match (self.graph.by_path(path), self.graph.source_by_path(path)) {
            (Some(id), _) => InputSrc::DrvFile(id),
            (None, Some(id)) => InputSrc::Source(id),
            (None, None) => InputSrc::Path(path.clone()),
        }
    }

    /// The context of a file read from the store: those references of its object that it names.
    pub(crate) fn references_in(&mut self, bytes: &[u8], path: &[u8], loc: Loc) -> Res<Ctx> {
        let Ok((object, _)) = StorePath::parse_prefix(&String::from_utf8_lossy(path)) else {
            return Ok(Ctx::EMPTY);
        };
        let refs: Vec<StorePath> = match self.made_here(&object) {
            InputSrc::Source(id) => match &self.graph.source(id).origin {
                Origin::Text(_, refs) => refs.clone(),
                Origin::Tree(_) | Origin::Filtered(..) => Vec::new(),
            },
            InputSrc::DrvFile(id) => self.graph.file(id)?.refs().into_iter().collect(),
            InputSrc::Path(path) => {
                self.host.references(&path).map_err(|e| Error::from(e).at(loc))?
            }
        };
        let mut found = Vec::new();
        for path in refs {
            if memchr::memmem::find(bytes, path.digest_text().as_bytes()).is_some() {
                found.push(match self.made_here(&path) {
                    InputSrc::Source(id) => CtxElem::Source(id),
                    InputSrc::DrvFile(id) => CtxElem::DrvFile(id),
                    InputSrc::Path(path) => self.contexts.path_elem(&path),
                });
            }
        }
        Ok(self.contexts.intern(found))
    }

    /// The derivation whose file a path is, if this evaluation made it.
    pub(crate) fn derivation_at(&self, path: &[u8]) -> Option<DrvId> {
        if !path.ends_with(b".drv") {
            return None;
        }
        let path = StorePath::parse(std::str::from_utf8(path).ok()?).ok()?;
        self.graph.by_path(&path)
    }
}
