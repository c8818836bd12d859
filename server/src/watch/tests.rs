//! Every way in which an answer can change is seen, and nothing else is doubted.

use std::os::unix::fs::symlink;

use floe_core::ca::Method;
use floe_lang::host::Source;

use super::*;

struct World {
    dir: tempfile::TempDir,
    watch: Watch,
    reads: Vec<Read>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let world = World { dir, watch: Watch::new(), reads: Vec::new() };
        for name in ["real/inner/file", "real/inner/other", "tree/a/b", "tree/c", "list/one"] {
            world.write(name, "text");
        }
        symlink("real", world.path("link")).expect("ours");
        symlink("inner/file", world.path("real/to-file")).expect("ours");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
        fs::write(path, text).expect("ours");
    }

    fn read(&mut self, read: Read) -> ReadId {
        let first = self.reads.len();
        self.watch.add(std::slice::from_ref(&read), first);
        self.reads.push(read);
        assert_eq!(self.watch.unwatched(), [], "it can be watched");
        ReadId(first as u32)
    }

    fn file(&mut self, name: &str) -> ReadId {
        let path = self.path(name);
        self.read(Read::File(path))
    }

    #[track_caller]
    fn doubts(&mut self, expected: &[ReadId]) {
        assert_eq!(self.watch.doubts(), Doubt::Reads(expected.to_vec()));
        assert_eq!(self.watch.doubts(), Doubt::Reads(Vec::new()), "it is said once");
    }
}

fn tree(path: PathBuf) -> Read {
    let (name, origin) = ("tree".to_owned(), Origin::Tree(path));
    Read::Source(Box::new(Source { name, origin, method: Method::Nar, expected: None }))
}

#[test]
fn a_file_changes_in_every_way() {
    let mut world = World::new();
    let file = world.file("real/inner/file");
    world.doubts(&[]);
    world.write("real/inner/file", "other text");
    world.doubts(&[file]);
    fs::remove_file(world.path("real/inner/file")).expect("ours");
    world.doubts(&[file]);
    world.write("real/new", "renamed into its place");
    fs::rename(world.path("real/new"), world.path("real/inner/file")).expect("ours");
    world.doubts(&[file]);
    world.write("real/inner/other", "nobody read it");
    world.doubts(&[]);
    world.write("list/one", "nor this");
    world.doubts(&[]);
}

#[test]
fn a_file_behind_links_changes_under_its_own_name() {
    let mut world = World::new();
    let linked = world.file("link/inner/file");
    let twice = world.file("link/to-file");
    world.write("real/inner/file", "other text");
    world.doubts(&[linked, twice]);
    fs::remove_file(world.path("link")).expect("ours");
    symlink("tree", world.path("link")).expect("ours");
    world.doubts(&[linked, twice]);
}

#[test]
fn a_file_with_two_names_changes_under_either() {
    let mut world = World::new();
    fs::hard_link(world.path("real/inner/file"), world.path("list/twin")).expect("ours");
    let file = world.file("real/inner/file");
    world.write("list/twin", "through the other name");
    world.doubts(&[file]);
}

#[test]
fn what_is_absent_appears() {
    let mut world = World::new();
    let shallow = world.path("real/absent");
    let shallow = world.read(Read::Kind(shallow));
    let deep = world.path("no/such/folder/file");
    let deep = world.read(Read::Kind(deep));
    world.write("real/absent", "");
    world.doubts(&[shallow]);
    fs::create_dir(world.path("no")).expect("ours");
    world.doubts(&[deep]);
}

#[test]
fn trees_and_listings_change_within() {
    let mut world = World::new();
    let path = world.path("tree");
    let source = world.read(tree(path));
    let path = world.path("list");
    let listing = world.read(Read::Directory(path));
    world.write("tree/a/b", "deep");
    world.doubts(&[source]);
    world.write("tree/c", "shallow");
    world.doubts(&[source]);
    world.write("list/two", "new");
    world.doubts(&[listing]);
    fs::create_dir(world.path("tree/new")).expect("ours");
    world.doubts(&[source]);
    let path = world.path("tree");
    world.watch.add_again(&tree(path));
    world.write("tree/new/file", "in a folder that came later");
    world.doubts(&[source]);
}

#[test]
fn a_folder_on_the_way_that_moves_raises_every_doubt() {
    let mut world = World::new();
    world.file("real/inner/file");
    fs::rename(world.path("real"), world.path("moved")).expect("ours");
    assert_eq!(world.watch.doubts(), Doubt::All);
}

#[test]
fn more_events_than_the_kernel_keeps_raise_every_doubt() {
    let mut world = World::new();
    world.file("real/inner/file");
    for at in 0..20_000 {
        // Two different ones in turn: equal events in a row are one.
        let name = ["real/inner/left", "real/inner/right"][at % 2];
        drop(fs::File::create(world.path(name)).expect("ours"));
    }
    assert_eq!(world.watch.doubts(), Doubt::All);
}

#[test]
fn what_no_event_tells_of_is_known() {
    let mut world = World::new();
    world.watch.add(&[Read::Variable("HOME".into()), Read::Clock], 0);
    world.watch.add(&[Read::File(Path::new("/proc/self/status").into())], 2);
    assert_eq!(world.watch.unwatched(), [ReadId(0), ReadId(1), ReadId(2)]);
}
