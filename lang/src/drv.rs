//! `derivationStrict`: from a set of attributes to a node of the derivation graph. Texts and
//! hashes are not computed here: strings go into the node with their handles.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

use floe_core::ca::Method;
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::OutputName;
use rustc_hash::FxBuildHasher;

use crate::builtins::strings::nix_words;
use crate::coerce::Coerce;
use crate::context::{Ctx, CtxElem};
use crate::error::{Error, Res};
use crate::graph::{
    DrvId, DrvNode, InputDrv, InputSrc, Instructions, OutputKind, OutputSpec, SymStr,
};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::marker;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attr, Attrs, Str, Value};

/// Texts of derivations that are likely to come again: of those that share a place the last one.
#[derive(Default)]
pub(crate) struct Texts {
    short: Vec<Option<(Box<[u8]>, SymStr)>>,
    /// By the address of the string's bytes in the heap, which frees no string.
    long: Vec<Option<(usize, SymStr)>>,
}

/// So many of each kind are kept.
const PLACES: usize = 1 << 12;

/// The place of a key among texts.
fn text_place<T>(texts: &mut Vec<Option<T>>, key: impl std::hash::Hash) -> &mut Option<T> {
    if texts.is_empty() {
        texts.resize_with(PLACES, || None);
    }
    // The upper bits are the better ones.
    let at = FxBuildHasher.hash_one(key) >> 52;
    &mut texts[at as usize % PLACES]
}

/// Up to this length, finding an equal text costs less than keeping another one.
const SHORT_BYTES: usize = 128;

/// What the attributes said so far.
#[derive(Default)]
struct Draft {
    name: String,
    builder: Vec<u8>,
    system: Vec<u8>,
    args: Vec<SymStr>,
    /// Sorted by name.
    env: Vec<(Symbol, SymStr)>,
    json: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    content_addressed: bool,
    impure: bool,
    output_hash: Option<Vec<u8>>,
    output_hash_algo: Option<HashAlgo>,
    method: Option<Method>,
    outputs: Option<BTreeSet<Vec<u8>>>,
}

impl Machine {
    /// The builtin.
    pub(crate) fn derivation_strict(&mut self, arg: Value, loc: Loc) -> Res<Value> {
        let what = "while evaluating the argument passed to builtins.derivationStrict";
        let attrs = self.set_for(arg, loc, what)?;
        let Some(name_attr) = Attrs::find(attrs, Symbol::NAME) else {
            let what = "in the attrset passed as argument to builtins.derivationStrict";
            return Err(crate::builtins::missing(Symbol::NAME).frame(Loc::NONE, what));
        };
        let name = self
            .force_place(&name_attr.value)
            .and_then(|name| self.as_text(name, loc))
            .map_err(|e| {
                e.frame(
                    loc,
                    "while evaluating the `name` attribute passed to builtins.derivationStrict",
                )
                .frame(name_attr.loc, "while evaluating the derivation attribute 'name'")
            })?;
        let name = String::from_utf8_lossy(name).into_owned();
        self.derivation_of(&name, attrs, loc).map_err(|error| {
            let at = self.show_loc(name_attr.loc);
            error.frame(
                Loc::NONE,
                format!("while evaluating derivation '{name}'\n  whose name attribute is located at {at}"),
            )
        })
    }

    fn flag(&mut self, attrs: Gc<Attrs>, name: &str, loc: Loc) -> Res<bool> {
        let Some(attr) = Attrs::find(attrs, Symbol::intern(name)) else {
            return Ok(false);
        };
        let value = self.force_place(&attr.value)?;
        self.as_bool(value, loc).map_err(|e| {
            e.frame(
                loc,
                format!(
                    "while evaluating the `{name}` attribute passed to builtins.derivationStrict"
                ),
            )
        })
    }

    fn derivation_of(&mut self, name: &str, attrs: Gc<Attrs>, loc: Loc) -> Res<Value> {
        floe_core::path::check_name(name).map_err(|error| {
            Error::eval(
                loc,
                format!(
                    "invalid derivation name: {}. Please pass a different 'name'.",
                    nix_words(&error)
                ),
            )
        })?;
        let (draft, contexts) = self.draft(name, attrs, loc)?;
        self.derivation_made(draft, &contexts, loc)
    }

    /// Reads the attributes. Evaluating them evaluates other derivations, so what else happens
    /// to this one is done elsewhere, with its own share of the stack.
    #[inline(never)]
    fn draft(&mut self, name: &str, attrs: Gc<Attrs>, loc: Loc) -> Res<(Box<Draft>, Vec<Ctx>)> {
        let structured = self.flag(attrs, "__structuredAttrs", loc)?;
        let ignore_nulls = self.flag(attrs, "__ignoreNulls", loc)?;
        let mut draft = Box::new(Draft { name: name.to_owned(), ..Draft::default() });
        if structured {
            draft.json = Some(BTreeMap::new());
        }
        draft.env.reserve(attrs.len());
        let mut contexts = Vec::new();
        for attr in Attrs::by_text(attrs) {
            let mut own = Ctx::EMPTY;
            self.derivation_attr(&mut draft, attr, ignore_nulls, &mut own, loc).map_err(
                |error| {
                    error.frame(
                        attr.loc,
                        format!(
                            "while evaluating attribute '{}' of derivation '{name}'",
                            attr.name
                        ),
                    )
                },
            )?;
            own.add_to(&mut contexts);
        }
        if let Some(json) = draft.json.take() {
            let text = self.segments(&crate::json::object(&json));
            draft.env.push((Symbol::intern("__json"), text));
        }
        Ok((draft, contexts))
    }

    #[inline(never)]
    fn derivation_made(&mut self, draft: Box<Draft>, contexts: &[Ctx], loc: Loc) -> Res<Value> {
        if draft.builder.is_empty() {
            return Err(Error::eval(loc, "required attribute 'builder' missing"));
        }
        if draft.system.is_empty() {
            return Err(Error::eval(loc, "required attribute 'system' missing"));
        }
        let outputs = self.outputs(&draft, loc)?;
        let id = self.add_derivation(*draft, outputs, contexts)?;
        let made = self.derivation_result(id);
        self.note_made(made, id);
        Ok(made)
    }

    #[inline(never)]
    fn derivation_attr(
        &mut self,
        draft: &mut Draft,
        attr: &'static Attr,
        ignore_nulls: bool,
        ctx: &mut Ctx,
        loc: Loc,
    ) -> Res<()> {
        let key = attr.name.as_bytes();
        if key == b"__ignoreNulls" {
            return Ok(());
        }
        let value = self.force_place(&attr.value)?;
        if ignore_nulls && matches!(value, Value::Null) {
            return Ok(());
        }
        match key {
            b"__contentAddressed" if self.as_bool(value, loc)? => {
                draft.content_addressed = true;
                return Ok(());
            }
            b"__impure" if self.as_bool(value, loc)? => {
                draft.impure = true;
                return Ok(());
            }
            b"__contentAddressed" | b"__impure" => return Ok(()),
            b"args" => {
                for item in self.as_list(value, loc)?.places() {
                    let item = self.force_place(item)?;
                    let what = "while evaluating an element of the argument list";
                    let (_, arg) = self.env_text(item, ctx, (loc, what))?;
                    draft.args.push(arg);
                }
                return Ok(());
            }
            _ => {}
        }
        if draft.json.is_some() {
            return self.structured_attr(draft, key, value, ctx, loc);
        }
        let (text, symbolic) = self.env_text(value, ctx, (loc, ""))?;
        match key {
            b"builder" => draft.builder = text.to_vec(),
            b"system" => draft.system = text.to_vec(),
            b"outputHash" => draft.output_hash = Some(self.real_bytes(&text)?),
            b"outputHashAlgo" => {
                draft.output_hash_algo = HashAlgo::parse(&String::from_utf8_lossy(&text)).ok()
            }
            b"outputHashMode" => draft.method = Some(hash_mode(&text, loc)?),
            b"outputs" => {
                let names = text.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
                draft.outputs = Some(output_names(names.map(<[u8]>::to_vec), loc)?);
            }
            _ => {}
        }
        draft.env.push((attr.name, symbolic));
        Ok(())
    }

    /// A value as it stands in a derivation. Equal texts share their memory where that is cheap
    /// to find: short ones by their bytes, long ones by where they lie in the heap.
    #[inline(never)]
    fn env_text(
        &mut self,
        value: Value,
        ctx: &mut Ctx,
        at: (Loc, &str),
    ) -> Res<(Cow<'static, [u8]>, SymStr)> {
        let (text, held) = match value {
            Value::Str(text) => {
                *ctx = self.contexts.union(*ctx, text.ctx);
                let bytes = Str::bytes(text);
                (Cow::Borrowed(bytes), Some(bytes.as_ptr().addr()))
            }
            other => {
                let mut text = Vec::new();
                self.coerce(other, Coerce::ENV, at, &mut text, ctx)?;
                (Cow::Owned(text), None)
            }
        };
        if text.len() <= SHORT_BYTES {
            let symbolic = self.short_text(&text);
            return Ok((text, symbolic));
        }
        let known = held.and_then(|at| text_place(&mut self.texts.long, at).as_ref());
        if let Some((known, symbolic)) = known
            && held == Some(*known)
        {
            return Ok((text, symbolic.clone()));
        }
        let symbolic = self.segments(&text);
        if let Some(at) = held {
            *text_place(&mut self.texts.long, at) = Some((at, symbolic.clone()));
        }
        Ok((text, symbolic))
    }

    /// A short text as it stands in a derivation.
    fn short_text(&mut self, text: &[u8]) -> SymStr {
        if let Some((known, symbolic)) = text_place(&mut self.texts.short, text)
            && **known == *text
        {
            return symbolic.clone();
        }
        let symbolic = self.segments(text);
        *text_place(&mut self.texts.short, text) = Some((text.into(), symbolic.clone()));
        symbolic
    }

    fn structured_attr(
        &mut self,
        draft: &mut Draft,
        key: &[u8],
        value: Value,
        ctx: &mut Ctx,
        loc: Loc,
    ) -> Res<()> {
        if key == b"__structuredAttrs" {
            return Ok(());
        }
        let mut json = Vec::new();
        self.write_json(value, loc, &mut json, ctx)?;
        draft
            .json
            .as_mut()
            .expect("only called for structured attributes")
            .insert(key.to_vec(), json);
        match key {
            b"builder" => {
                let text = self.as_str(value, loc)?;
                *ctx = self.contexts.union(*ctx, text.ctx);
                draft.builder = Str::bytes(text).to_vec();
            }
            b"system" => draft.system = self.as_text(value, loc)?.to_vec(),
            b"outputHash" => draft.output_hash = Some(self.as_text(value, loc)?.to_vec()),
            b"outputHashAlgo" => {
                let text = self.as_text(value, loc)?;
                draft.output_hash_algo = HashAlgo::parse(&String::from_utf8_lossy(text)).ok();
            }
            b"outputHashMode" => draft.method = Some(hash_mode(self.as_text(value, loc)?, loc)?),
            b"outputs" => {
                let mut names = Vec::new();
                for item in self.as_list(value, loc)?.places() {
                    let item = self.force_place(item)?;
                    names.push(self.as_text(item, loc)?.to_vec());
                }
                draft.outputs = Some(output_names(names.into_iter(), loc)?);
            }
            b"allowedReferences"
            | b"allowedRequisites"
            | b"disallowedReferences"
            | b"disallowedRequisites"
            | b"maxSize"
            | b"maxClosureSize" => {
                let key = String::from_utf8_lossy(key);
                let text = format!(
                    "In a derivation named '{}', 'structuredAttrs' disables the effect of the derivation attribute '{key}'; use 'outputChecks.<output>.{key}' instead",
                    draft.name
                );
                self.host.message(crate::host::MessageKind::Notice, text.as_bytes());
            }
            _ => {}
        }
        Ok(())
    }

    fn outputs(&mut self, draft: &Draft, loc: Loc) -> Res<Vec<OutputSpec>> {
        let out = || BTreeSet::from([b"out".to_vec()]);
        let names = draft.outputs.clone().unwrap_or_else(out);
        if draft.name.ends_with(".drv") && !(draft.method == Some(Method::Text) && names == out()) {
            return Err(Error::eval(
                loc,
                "derivation names are allowed to end in '.drv' only if they produce a single derivation file",
            ));
        }
        let kind = if let Some(hash) = &draft.output_hash {
            if names != out() {
                return Err(Error::eval(
                    loc,
                    "multiple outputs are not supported in fixed-output derivations",
                ));
            }
            let text = String::from_utf8_lossy(hash);
            let hash = self.parse_hash_allow_empty(&text, draft.output_hash_algo, loc)?;
            OutputKind::Fixed(draft.method.unwrap_or(Method::Flat), Box::new(hash))
        } else if draft.content_addressed {
            if draft.impure {
                return Err(Error::eval(
                    loc,
                    "derivation cannot be both content-addressed and impure",
                ));
            }
            let algo = draft.output_hash_algo.unwrap_or(HashAlgo::Sha256);
            OutputKind::Floating(draft.method.unwrap_or(Method::Nar), algo)
        } else if draft.impure {
            return Err(Error::eval(
                loc,
                format!(
                    "derivation '{}' is impure ('__impure'), which floe does not build: make it fixed-output ('outputHash') or content-addressed ('__contentAddressed')",
                    draft.name
                ),
            ));
        } else {
            OutputKind::InputAddressed
        };
        let mut specs = Vec::with_capacity(names.len());
        for name in &names {
            let name = OutputName::new(&String::from_utf8_lossy(name))
                .map_err(|e| Error::eval(loc, e.to_string()))?;
            specs.push(OutputSpec { name, kind: kind.clone() });
        }
        Ok(specs)
    }

    /// A hash; the empty string is one of zeroes, with a warning.
    pub(crate) fn parse_hash_allow_empty(
        &mut self,
        text: &str,
        algo: Option<HashAlgo>,
        loc: Loc,
    ) -> Res<Hash> {
        if text.is_empty() {
            let Some(algo) = algo else {
                return Err(Error::eval(loc, "empty hash requires explicit hash algorithm"));
            };
            let hash = Hash::zero(algo);
            let warning = format!("found empty hash, assuming '{}'", hash.sri());
            self.host.message(crate::host::MessageKind::Notice, warning.as_bytes());
            return Ok(hash);
        }
        Hash::parse(text, algo).map_err(|error| Error::eval(loc, error.to_string()))
    }

    fn add_derivation(
        &mut self,
        draft: Draft,
        outputs: Vec<OutputSpec>,
        contexts: &[Ctx],
    ) -> Res<DrvId> {
        let mut input_drvs: BTreeMap<DrvId, BTreeSet<u32>> = BTreeMap::new();
        let mut input_srcs = BTreeSet::new();
        let mut elems: Vec<CtxElem> =
            contexts.iter().flat_map(|ctx| self.contexts.elems(*ctx)).copied().collect();
        elems.sort_unstable();
        elems.dedup();
        for elem in elems {
            match elem {
                CtxElem::Source(id) => {
                    input_srcs.insert(InputSrc::Source(id));
                }
                CtxElem::Path(id) => {
                    input_srcs.insert(InputSrc::Path(self.contexts.path(id).clone()));
                }
                CtxElem::DrvFile(id) => {
                    input_srcs.insert(InputSrc::DrvFile(id));
                }
                CtxElem::DrvDeep(id) => {
                    self.note_bytes(id)?;
                    self.add_closure(id, &mut input_drvs, &mut input_srcs);
                }
                CtxElem::Output(id, output) => {
                    input_drvs.entry(id).or_default().insert(output);
                }
            }
        }
        let fixed = outputs.iter().any(|output| matches!(output.kind, OutputKind::Fixed(..)));
        // They are nearly always attributes too.
        let [system, builder] = [&draft.system, &draft.builder].map(|text| self.short_text(text));
        let graph = &self.graph;
        let unknown = |(id, _): (&DrvId, &BTreeSet<u32>)| {
            let id = graph.outermost(*id);
            (0..graph.node(id).outputs.len()).any(|o| graph.is_unknown(id, o))
        };
        let deferred = !fixed && input_drvs.iter().any(unknown);
        let node =
            DrvNode { made_by: None, name: draft.name.into(), outputs: outputs.into(), deferred };
        let instructions = Instructions {
            system,
            builder,
            args: draft.args,
            env: draft.env,
            input_drvs: input_drvs
                .into_iter()
                .map(|(drv, outputs)| {
                    let outputs: Vec<u32> = outputs.into_iter().collect();
                    InputDrv { drv, outputs: outputs.into() }
                })
                .collect(),
            input_srcs: input_srcs.into_iter().collect(),
        };
        Ok(self.graph.add(node, &instructions))
    }

    /// Everything that a derivation's file needs, as inputs: each derivation with all outputs.
    fn add_closure(
        &self,
        top: DrvId,
        drvs: &mut BTreeMap<DrvId, BTreeSet<u32>>,
        srcs: &mut BTreeSet<InputSrc>,
    ) {
        let mut seen = BTreeSet::from([top]);
        let mut work = vec![top];
        while let Some(id) = work.pop() {
            let instructions = self.graph.instructions(id);
            srcs.insert(InputSrc::DrvFile(id));
            let outputs = 0..self.graph.node(id).outputs.len() as u32;
            drvs.entry(id).or_default().extend(outputs);
            for src in instructions.input_srcs {
                match src {
                    InputSrc::DrvFile(id) => work.extend(seen.insert(id).then_some(id)),
                    src => {
                        srcs.insert(src);
                    }
                }
            }
            for input in instructions.input_drvs {
                let drv = self.graph.outermost(input.drv);
                work.extend(seen.insert(drv).then_some(drv));
            }
        }
    }

    fn derivation_result(&mut self, id: DrvId) -> Value {
        let attrs = self.derivation_attrs(id);
        self.attrs(attrs)
    }

    /// The paths of a derivation's file and outputs, as attributes.
    pub(crate) fn derivation_attrs(&mut self, id: DrvId) -> Vec<(Symbol, Value)> {
        let graph = self.graph.clone();
        let node = graph.node(id);
        let ctx = self.contexts.intern(vec![CtxElem::DrvDeep(id)]);
        let path = self.string_with(&marker::drv_path(id, &node.name), ctx);
        let mut attrs = vec![(Symbol::DRV_PATH, path)];
        for (output, index) in node.outputs.iter().zip(0..) {
            let value = self.output_string(id, index);
            attrs.push((Symbol::intern(output.name.as_str()), value));
        }
        attrs
    }

    /// What stands for an output in strings.
    pub(crate) fn output_token(&self, id: DrvId, index: u32) -> Vec<u8> {
        let node = self.graph.node(id);
        if self.graph.is_unknown(id, index as usize) {
            marker::unknown_output(id, index)
        } else {
            marker::output(id, index, &node.outputs[index as usize].name.path_name(&node.name))
        }
    }

    /// The string that stands for an output.
    pub(crate) fn output_string(&mut self, id: DrvId, index: u32) -> Value {
        let token = self.output_token(id, index);
        let ctx = self.contexts.intern(vec![CtxElem::Output(id, index)]);
        self.string_with(&token, ctx)
    }
}

fn hash_mode(text: &[u8], loc: Loc) -> Res<Method> {
    match text {
        b"recursive" | b"nar" => Ok(Method::Nar),
        b"flat" => Ok(Method::Flat),
        b"text" => Ok(Method::Text),
        _ => {
            let text = String::from_utf8_lossy(text);
            Err(Error::eval(loc, format!("invalid value '{text}' for 'outputHashMode' attribute")))
        }
    }
}

fn output_names(names: impl Iterator<Item = Vec<u8>>, loc: Loc) -> Res<BTreeSet<Vec<u8>>> {
    let mut all = BTreeSet::new();
    for name in names {
        let text = String::from_utf8_lossy(&name).into_owned();
        if name == b"drvPath" {
            return Err(Error::eval(loc, "invalid derivation output name 'drvPath'"));
        }
        if !all.insert(name) {
            return Err(Error::eval(loc, format!("duplicate derivation output '{text}'")));
        }
    }
    if all.is_empty() {
        return Err(Error::eval(loc, "derivation cannot have an empty set of outputs"));
    }
    Ok(all)
}
