//! Derivations against texts that Nix 2.8 wrote (`fixtures/`, from a graph of one floating
//! derivation and two that use it), and against random ones.

use proptest::prelude::*;

use super::*;
use crate::hash::Hash;
use crate::placeholder;

const FIXTURES: [(&str, &[u8]); 4] = [
    (CONSUMER, include_bytes!("fixtures/dq4z0nhxwhig27xlkk28f43nvmrrw0hk-consumer.drv")),
    (CONSUMER_RESOLVED, include_bytes!("fixtures/xfyh46hv2sdnkl9i9kjcngm9sbslmnzn-consumer.drv")),
    (DEFERRED, include_bytes!("fixtures/hnbww8vvrczgjlc9n302l3hkpg8qvk70-deferred.drv")),
    (DEFERRED_RESOLVED, include_bytes!("fixtures/g70br2dvbgp4wjz1w5g6sigydyv8qmv9-deferred.drv")),
];
const CONSUMER: &str = "dq4z0nhxwhig27xlkk28f43nvmrrw0hk-consumer.drv";
const CONSUMER_RESOLVED: &str = "xfyh46hv2sdnkl9i9kjcngm9sbslmnzn-consumer.drv";
const DEFERRED: &str = "hnbww8vvrczgjlc9n302l3hkpg8qvk70-deferred.drv";
const DEFERRED_RESOLVED: &str = "g70br2dvbgp4wjz1w5g6sigydyv8qmv9-deferred.drv";
/// The one output of `zxwx4br15f30sj6hiqahxfnimx6xd0fm-floating.drv`.
const FLOATING_OUT: &str = "bzbrywij9lqzksaiz3p3jn41dxdx9laz-floating";

fn fixture(base: &str) -> (StorePath, Derivation) {
    let path = StorePath::from_base_name(base).unwrap();
    let (_, text) = FIXTURES.iter().find(|(name, _)| *name == base).unwrap();
    let drv = Derivation::parse_aterm(path.name().strip_suffix(".drv").unwrap(), text).unwrap();
    assert_eq!(drv.to_aterm(), *text);
    assert_eq!(drv.drv_path().unwrap(), path);
    (path, drv)
}

#[test]
fn resolution_gives_the_derivations_that_nix_builds() {
    let floating = StorePath::from_base_name(FLOATING_OUT).unwrap();
    for (before, after, kind) in [
        (CONSUMER, CONSUMER_RESOLVED, Kind::Floating),
        (DEFERRED, DEFERRED_RESOLVED, Kind::Deferred),
    ] {
        let (_, drv) = fixture(before);
        assert_eq!(drv.kind(), Ok(kind));
        let resolved = drv.resolve(|_, _| Some(floating.clone())).unwrap();
        let (path, expect) = fixture(after);
        assert_eq!(resolved, expect);
        assert_eq!(resolved.drv_path().unwrap(), path);
        let error = drv.resolve(|_, _| None).unwrap_err();
        assert!(matches!(error, ResolveError::Unknown { .. }), "{error}");
    }
}

#[test]
fn outputs_that_do_not_go_together() {
    let check = |outputs: &[(&str, Output)], expect: &str| {
        let (_, mut drv) = fixture(CONSUMER);
        drv.outputs = outputs
            .iter()
            .map(|(name, output)| (OutputName::new(name).unwrap(), output.clone()))
            .collect();
        assert_eq!(drv.kind().unwrap_err().to_string(), format!("derivation 'consumer'{expect}"));
    };
    let floating = |algo| Output::Floating(Method::Nar, algo);
    let ca = ContentAddress { method: Method::Flat, hash: Hash::zero(HashAlgo::Md5) };
    let fixed = Output::fixed("consumer", &OutputName::out(), ca).unwrap();
    check(&[], " must have at least one output");
    check(
        &[("out", Output::Deferred), ("dev", floating(HashAlgo::Md5))],
        ": can't mix derivation output types",
    );
    check(
        &[("out", floating(HashAlgo::Sha1)), ("dev", floating(HashAlgo::Md5))],
        ": all floating outputs must use the same hash algorithm",
    );
    check(&[("dev", fixed)], ": single fixed output must be named \"out\", not \"dev\"");
}

/// The text that Nix's own unit tests have.
#[test]
fn dynamic_inputs_as_nix_writes_them() {
    let text = br#"DrvWithVersion("xp-dyn-drv",[],[("/nix/store/c015dhfh5l0lp6wxyvdn7bmwhbbr6hr9-dep2.drv",(["cat","dog"],[("cat",["kitten"]),("goose",["gosling"])]))],["/nix/store/c015dhfh5l0lp6wxyvdn7bmwhbbr6hr9-dep1"],"wasm-sel4","foo",["bar","baz"],[("BIG_BAD","WOLF")])"#;
    let drv = Derivation::parse_aterm("dyn-dep-derivation", text).unwrap();
    assert_eq!(drv.to_aterm(), text);
    let name = |name| OutputName::new(name).unwrap();
    let dep2 = StorePath::from_base_name("c015dhfh5l0lp6wxyvdn7bmwhbbr6hr9-dep2.drv").unwrap();
    assert_eq!(drv.input_drvs[&dep2], BTreeSet::from([name("cat"), name("dog")]));
    let mut dynamic = Dynamic::default();
    dynamic.insert(&[name("cat")], name("kitten"));
    dynamic.insert(&[name("goose")], name("gosling"));
    assert_eq!(drv.dynamic_inputs, BTreeMap::from([(dep2.clone(), dynamic)]));
    assert!(drv.refs().contains(&dep2));
}

#[test]
fn what_is_needed_of_an_output_that_is_a_derivation_is_resolved() {
    let path =
        |base: &str| StorePath::from_base_name(&format!("{}-{base}", "0".repeat(32))).unwrap();
    let (maker, made) = (path("maker.drv"), path("made.drv"));
    let out = OutputName::out;
    let outer = placeholder::upstream(&maker, &out());
    let inner = placeholder::computed(&outer, &out()).unwrap();
    let (_, mut drv) = fixture(CONSUMER);
    drv.input_drvs = BTreeMap::new();
    let mut dynamic = Dynamic::default();
    dynamic.insert(&[out()], out());
    drv.dynamic_inputs = BTreeMap::from([(maker.clone(), dynamic)]);
    drv.args = vec![inner.into_bytes(), outer.clone().into_bytes()];
    let answer = |drv: &StorePath, _: &OutputName| match drv.name() {
        "maker.drv" => Some(made.clone()),
        "made.drv" => Some(path("result")),
        _ => None,
    };
    let resolved = drv.resolve(answer).unwrap();
    assert_eq!(resolved.args, [path("result").as_str().as_bytes(), outer.as_bytes()]);
    assert!(resolved.dynamic_inputs.is_empty());
    assert!(resolved.input_srcs.contains(&path("result")) && !resolved.input_srcs.contains(&made));
    assert!(drv.resolve(|_, _| None).is_err());
}

#[test]
fn nesting_has_a_bound() {
    let (_, mut drv) = fixture(CONSUMER);
    let input = drv.input_drvs.keys().next().unwrap().clone();
    let mut nested = |levels: usize| {
        let mut dynamic = Dynamic::default();
        dynamic.insert(&vec![OutputName::out(); levels], OutputName::out());
        drv.dynamic_inputs = BTreeMap::from([(input.clone(), dynamic)]);
        Derivation::parse_aterm("consumer", &drv.to_aterm())
    };
    assert!(nested(MAX_NESTING - 1).is_ok());
    let error = nested(MAX_NESTING).unwrap_err();
    assert!(matches!(error.reason, AtermReason::Nesting(_)), "{error}");
    let endless = format!(
        "DrvWithVersion(\"xp-dyn-drv\",[],[(\"{input}\",{}",
        "([],[(\"a\",".repeat(100_000)
    );
    let error = Derivation::parse_aterm("endless", endless.as_bytes()).unwrap_err();
    assert!(matches!(error.reason, AtermReason::Nesting(_)), "{error}");
}

#[test]
fn a_graph_that_bites_its_tail_is_an_error() {
    let (path, mut drv) = fixture(DEFERRED_RESOLVED);
    drv.input_drvs.insert(path.clone(), BTreeSet::from([OutputName::out()]));
    let result = hash_modulo(&path, &mut ModuloMemo::new(), |_| Ok(drv.clone()));
    assert_eq!(result, Err(ModuloError::Cycle(path)));
}

#[test]
fn a_deep_graph_needs_no_stack() {
    let (_, leaf) = fixture(DEFERRED_RESOLVED);
    let path = |n: usize| {
        let digest = Hash::of(HashAlgo::Sha1, &n.to_le_bytes()).fold();
        StorePath::new(&digest, "deep.drv").unwrap()
    };
    let below: BTreeMap<StorePath, usize> = (0..20_000).map(|n| (path(n), n)).collect();
    let read = |at: &StorePath| {
        let mut drv = leaf.clone();
        if let Some(n) = below[at].checked_sub(1) {
            drv.input_drvs.insert(path(n), BTreeSet::from([OutputName::out()]));
        }
        Ok::<_, ModuloError>(drv)
    };
    let mut memo = ModuloMemo::new();
    assert!(matches!(hash_modulo(&path(19_999), &mut memo, read), Ok(Modulo::InputAddressed(_))));
    assert_eq!(memo.len(), 20_000);
}

#[test]
fn texts_that_are_no_derivation() {
    let text = FIXTURES[0].1;
    for end in 0..text.len() {
        assert!(Derivation::parse_aterm("consumer", &text[..end]).is_err());
    }
    let whole = std::str::from_utf8(text).unwrap();
    let check = |from: &str, to: &str, expect: &str| {
        let text = whole.replacen(from, to, 1);
        let error = Derivation::parse_aterm("consumer", text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("derivation 'consumer' cannot be read at byte "), "{error}");
        assert!(error.contains(expect), "{error}");
    };
    check("Derive(", "Derive [", "expected 'Derive('");
    check("Derive(", "DrvWithVersion(\"xp-nothing\",", "'xp-nothing' is not known");
    check("Derive(", "DrvWithVersion(\"xp-dyn-drv\"", "expected ','");
    check("[\"out\"]", "([\"out\"],[])", "expected '['");
    check("[\"out\"]", "[]", "specifies no outputs");
    check("\"out\",\"\",\"r:", "\"a/b\",\"\",\"r:", "illegal character '/'");
    check("r:sha256\",\"", "r:sha256\",\"impure", "impure");
    check("r:sha256", "r:sha255", "unknown hash algorithm 'sha255'");
    check("\"/nix/store/zx", "\"/nix/storage/zx", "is not in the Nix store");
    check("(\"name\"", "(\"builder\"", "'builder' appears twice");
    check("[],\"x86", "[,],\"x86", "expected '\"'");
    let rest = [text, b" "].concat();
    assert!(Derivation::parse_aterm("consumer", &rest).is_err());
}

#[test]
fn a_fixed_path_must_follow_from_its_hash() {
    let (_, mut drv) = fixture(DEFERRED_RESOLVED);
    let ca = ContentAddress { method: Method::Nar, hash: Hash::zero(HashAlgo::Sha256) };
    let wrong = StorePath::from_base_name(FLOATING_OUT).unwrap();
    drv.outputs = BTreeMap::from([(OutputName::out(), Output::Fixed(wrong, ca))]);
    let error = Derivation::parse_aterm(&drv.name, &drv.to_aterm()).unwrap_err();
    assert!(matches!(error.reason, AtermReason::FixedPath { .. }), "{error}");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(&b"\"\\\n\r\t,()[]n"[..]);
    prop::collection::vec(prop_oneof![special, any::<u8>()], 0..30)
}

fn paths() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z]{1,9}")
        .prop_map(|(digest, name)| StorePath::new(&digest, &name).unwrap())
}

fn outputs() -> impl Strategy<Value = BTreeMap<OutputName, Output>> {
    let name = "[a-z]{1,9}".prop_map(|name| OutputName::new(&name).unwrap());
    let output = prop_oneof![
        paths().prop_map(Output::InputAddressed),
        Just(Output::Deferred),
        Just(Output::Floating(Method::Flat, HashAlgo::Sha512)),
        Just(Output::Floating(Method::Text, HashAlgo::Sha256)),
    ];
    prop::collection::btree_map(name, output, 0..4)
}

fn names(some: std::ops::Range<usize>) -> impl Strategy<Value = BTreeSet<OutputName>> {
    let name = "[a-z]{1,9}".prop_map(|name| OutputName::new(&name).unwrap());
    prop::collection::btree_set(name, some)
}

fn dynamic() -> impl Strategy<Value = Dynamic> {
    let leaf = names(1..3).prop_map(|outputs| Made { outputs, dynamic: Dynamic::default() });
    let made = leaf.prop_recursive(4, 12, 3, |made| {
        let name = "[a-z]{1,9}".prop_map(|name| OutputName::new(&name).unwrap());
        let dynamic = prop::collection::btree_map(name, made, 1..3);
        (names(0..3), dynamic)
            .prop_map(|(outputs, dynamic)| Made { outputs, dynamic: Dynamic(dynamic) })
    });
    let name = "[a-z]{1,9}".prop_map(|name| OutputName::new(&name).unwrap());
    prop::collection::btree_map(name, made, 1..3).prop_map(Dynamic)
}

prop_compose! {
    fn derivations()(
        outputs in outputs(),
        input_drvs in prop::collection::btree_map(
            paths(),
            prop::collection::btree_set("[a-z]{1,9}".prop_map(|name| OutputName::new(&name).unwrap()), 1..3),
            0..4,
        ),
        dynamic_inputs in prop::collection::btree_map(paths(), dynamic(), 0..3),
        input_srcs in prop::collection::btree_set(paths(), 0..4),
        system in "[a-z0-9_\n\t-]{0,20}".prop_map(String::into_bytes),
        builder in bytes(),
        args in prop::collection::vec(bytes(), 0..4),
        env in prop::collection::btree_map(bytes(), bytes(), 0..6),
    ) -> Derivation {
        let name = "random".to_owned();
        Derivation { name, outputs, input_drvs, dynamic_inputs, input_srcs, system, builder, args, env }
    }
}

proptest! {
    #[test]
    fn aterm_round_trip(drv in derivations()) {
        let text = drv.to_aterm();
        prop_assert_eq!(Derivation::parse_aterm("random", &text).unwrap(), drv);
    }

    #[test]
    fn damage_never_panics(drv in derivations(), at: prop::sample::Index, byte: u8) {
        let mut text = drv.to_aterm();
        let at = at.index(text.len());
        text[at] = byte;
        // The system is written without escapes.
        let readable = |drv: &Derivation| !drv.system.iter().any(|byte| b"\"\\".contains(byte));
        if let Ok(other) = Derivation::parse_aterm("random", &text)
            && readable(&other)
        {
            prop_assert_eq!(Derivation::parse_aterm("random", &other.to_aterm()).unwrap(), other);
        }
        let _ = Derivation::parse_aterm("random", &text[at..]);
    }
}
