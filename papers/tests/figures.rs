//! The worked examples of Build Systems à la Carte (JFP 2020), run: what its figures highlight is what the models run. Figure
//! 7, on step traces, is in `findings.rs`.

use floe_papers::log::Event;
use floe_papers::project::{Node, Project};
use floe_papers::scheduler::Refused;
use floe_papers::script::{Read, Script};
use floe_papers::system::System;
use floe_papers::systems::model;
use floe_papers::task::Look;
use floe_papers::value::{File, Key, Value};

const UTIL_C: usize = 0;
const UTIL_H: usize = 1;
const MAIN_C: usize = 2;
const UTIL_O: Key = Key::Node(3);
const MAIN_O: Key = Key::Node(4);
const MAIN_EXE: Key = Key::Node(5);

/// A text and a comment in it.
fn source(word: u64, comment: u64) -> Node {
    Node::Source(Value::words([word, comment]))
}

/// The makefile of section 2.1: two compilations, each of a file and `util.h`, and a link. A compiler reads comments in vain.
fn makefile() -> Project {
    let compile = |salt, file| {
        let reads = [file, UTIL_H].map(|node| {
            [(0, 1), (1, 0)]
                .map(|(part, into)| Read::Look(node as u16, Look::File(File(part)), into))
        });
        Node::Rule(Script::copying(salt, 1, reads.concat()))
    };
    let link = [3, 4].map(|node| Read::Look(node, Look::Whole, 1)).to_vec();
    let rules = [compile(1, UTIL_C), compile(2, MAIN_C), Node::Rule(Script::copying(3, 1, link))];
    Project { nodes: [source(1, 0), source(2, 0), source(3, 0)].into_iter().chain(rules).collect() }
}

fn system(name: &str) -> System {
    (model(name).expect("a model of this name").make)()
}

#[track_caller]
fn check(system: &mut System, project: &Project, ran: &[Key]) {
    let log = system.build(project, &[MAIN_EXE]).expect("a static project");
    assert_eq!(log.ran(), ran);
}

#[test]
fn figure_1_make_rebuilds_all_or_a_part() {
    let mut make = system("Make");
    let mut project = makefile();
    check(&mut make, &project, &[UTIL_O, MAIN_O, MAIN_EXE]);
    project.nodes[UTIL_H] = source(4, 0);
    check(&mut make, &project, &[UTIL_O, MAIN_O, MAIN_EXE]);
    project.nodes[MAIN_C] = source(5, 0);
    check(&mut make, &project, &[MAIN_O, MAIN_EXE]);
}

#[test]
fn figure_2_shake_finds_a_new_dependency() {
    // docs.txt, release.txt made of it, LICENSE, README, and release.tar made of whichever release.txt names
    let project = |docs| {
        let list = Script::copying(1, 1, vec![Read::Look(0, Look::Whole, 1)]);
        let tar = Script::copying(2, 1, vec![Read::Indirect(1, vec![2, 3], 1)]);
        let nodes =
            [source(docs, 0), Node::Rule(list), source(7, 0), source(8, 0), Node::Rule(tar)];
        Project { nodes: nodes.into() }
    };
    let (release_txt, readme, release_tar) = (Key::Node(1), Key::Node(3), Key::Node(4));
    let names_readme = |docs: &u64| {
        system("Shake")
            .clean(&project(*docs), &[release_tar], |clean| clean.made.contains_key(&readme))
    };
    let with = (0..99).find(names_readme).expect("a docs.txt that lists README");
    let without = (0..99).find(|docs| !names_readme(docs)).expect("one that does not");
    let mut shake = system("Shake");
    for docs in [without, with] {
        let log =
            shake.build(&project(docs), &[release_tar]).expect("Shake knows dynamic dependencies");
        assert_eq!(log.ran(), [release_txt, release_tar]);
    }
    let refused = system("Make").build(&project(with), &[release_tar]).err();
    assert_eq!(refused, Some(Refused::Dynamic(release_tar)));
}

#[test]
fn figure_3_a_comment_stops_at_the_object_file() {
    for (name, ran) in [("Shake", &[MAIN_O][..]), ("Make", &[MAIN_O, MAIN_EXE])] {
        let mut system = system(name);
        let mut project = makefile();
        check(&mut system, &project, &[UTIL_O, MAIN_O, MAIN_EXE]);
        project.nodes[MAIN_C] = source(3, 1);
        check(&mut system, &project, ran);
    }
}

/// The paper's Bazel fetches nothing but what it must; of our models the shallow ones do.
#[test]
fn figure_4_a_cloud_build_fetches_what_it_needs() {
    let (mut colleague, mut user) = (system("Buck2 (DICE)"), system("Buck2 (DICE)"));
    let mut project = makefile();
    check(&mut colleague, &project, &[UTIL_O, MAIN_O, MAIN_EXE]);
    colleague.share(&mut user);
    let log = user.build(&project, &[MAIN_EXE]).expect("a static project");
    assert_eq!((log.ran(), log.of(Event::Fetched)), (vec![], vec![MAIN_EXE]));
    project.nodes[UTIL_C] = source(6, 0);
    let log = user.build(&project, &[MAIN_EXE]).expect("a static project");
    assert_eq!((log.ran(), log.of(Event::Fetched)), (vec![UTIL_O, MAIN_EXE], vec![MAIN_O]));
}

#[test]
fn figure_12_deep_traces_make_a_frankenbuild() {
    let read = |node| vec![Read::Look(node, Look::Whole, 1)];
    let profile = Script { random: 2, ..Script::copying(1, 1, read(0)) };
    let report = Script::copying(2, 1, read(1));
    let project = Project { nodes: vec![source(0, 0), Node::Rule(profile), Node::Rule(report)] };
    let (main_prof, report_txt) = (Key::Node(1), Key::Node(2));
    // whether, with this luck, the profile is another and the report the old one
    let franken = |name: &str, seed| {
        let mut system = system(name);
        system.chance = floe_papers::chance::Chance::new(seed);
        let build = |system: &mut System| {
            system.build(&project, &[main_prof, report_txt]).expect("a static project");
            [main_prof, report_txt].map(|key| system.store.entry(key))
        };
        let before = build(&mut system);
        system.store.evict(main_prof);
        system.clean_up();
        let after = build(&mut system);
        before[0] != after[0] && before[1] == after[1]
    };
    assert!((0..20).any(|seed| franken("Buck", seed)));
    assert!((0..20).all(|seed| !franken("CloudBuild", seed)));
}
