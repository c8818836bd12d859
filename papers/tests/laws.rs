//! probe
use floe_papers::laws::LAWS;
use floe_papers::systems::{MODELS, OTHERS};

#[test]
fn probe() {
    for law in LAWS {
        let all = !["no frankenbuild","early cutoff","no stale answer","no stale answer, dynamic", "shallow", "eviction"].contains(&law.name);
        if all { continue }
        let mut yes = vec![];
        for m in MODELS.iter().chain(&OTHERS) {
            match law.refute(3000, 1, &m.make) {
              None => yes.push(m.name),
              Some(why) => if law.name == "no frankenbuild" { println!("@@{} {}", m.name, why) }
        }}
        println!("{}: {:?}", law.name, yes);
    }
}
