//! Prints the program that an input of `evaluate` makes: `cargo run --release -p floe-probes --example program FILE`.

fn main() {
    let file = std::env::args_os().nth(1).expect("a file: an input of the target `evaluate`");
    let data = std::fs::read(file).expect("a file that can be read");
    println!("{}", floe_probes::program::generate(&data));
}
