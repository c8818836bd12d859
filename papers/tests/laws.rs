//! Every law that a system is said to keep, over ten thousand random cases a law; and every law that it is said not to
//! keep, refuted. Which is which stands in `fixtures/claims`.

use floe_papers::laws::LAWS;
use floe_papers::systems::{MODELS, OTHERS};

#[test]
fn probe() {
    for law in LAWS {
        let t = std::time::Instant::now();
        let mut yes = vec![];
        for m in MODELS.iter().chain(&OTHERS) {
            if law.refute(300, 1, &m.make).is_none() {
                yes.push(m.name);
            }
        }
        println!("{}: {:?} {:?}", law.name, yes, t.elapsed());
    }
}
