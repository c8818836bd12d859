//! Nix programs made of bytes: grammatical nearly always, of matching types mostly, bounded in size and
//! time. What they are made of is in `templates` and `literals`. Nothing is evaluated here.

mod literals;
mod templates;

use crate::choices::Choices;

/// Nodes of a program.
const FUEL: usize = 70;
/// Nesting of nodes.
const MAX_DEPTH: usize = 10;
/// Bytes of a program, some more may follow: everything open is closed.
const MAX_BYTES: usize = 6000;

/// The type that an expression is meant to have. The letters are those of `templates`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Want {
    Any,
    Int,
    Float,
    Bool,
    Text,
    Null,
    Path,
    List,
    Numbers,
    Texts,
    Set,
    Function,
}

const KINDS: [Want; 11] = [
    Want::Int,
    Want::Text,
    Want::Bool,
    Want::Set,
    Want::List,
    Want::Float,
    Want::Numbers,
    Want::Texts,
    Want::Function,
    Want::Null,
    Want::Path,
];

/// A program for these bytes; the same one for the same bytes.
pub fn generate(data: &[u8]) -> String {
    // It begins with a blank, so that no command takes it for an option.
    let mut writer = Writer {
        choices: Choices::new(data),
        out: " ".to_owned(),
        scope: Vec::new(),
        fuel: FUEL,
        depth: 0,
        fresh: 0,
        has_long: false,
    };
    writer.expression(Want::Any);
    writer.out
}

struct Writer<'d> {
    choices: Choices<'d>,
    out: String,
    /// Variables in scope, and what they were meant to hold.
    scope: Vec<(String, Want)>,
    fuel: usize,
    depth: usize,
    fresh: usize,
    /// Whether a long list is made somewhere.
    has_long: bool,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn name(&mut self) -> String {
        self.fresh += 1;
        // Some names that mean something elsewhere, which shadows it.
        match self.choices.below(40) {
            39 => "or'".to_owned(),
            38 => "map".to_owned(),
            37 => "__sub".to_owned(),
            _ => format!("v{}", self.fresh),
        }
    }

    fn kind(&mut self) -> Want {
        self.choices.pick(&KINDS)
    }

    /// An expression that may need parentheses.
    fn expression(&mut self, want: Want) {
        let want = if want == Want::Any || self.choices.one_in(40) { self.kind() } else { want };
        self.depth += 1;
        self.fuel = self.fuel.saturating_sub(1);
        let done = self.fuel == 0
            || self.depth > MAX_DEPTH
            || self.choices.is_over()
            || self.out.len() > MAX_BYTES;
        if done {
            self.leaf(want);
        } else {
            match self.choices.below(16) {
                0..=2 => self.leaf(want),
                3..=10 => {
                    let template = self.choices.pick(templates::of(want));
                    self.fill(template, want);
                }
                11 | 12 => {
                    let template = self.choices.pick(templates::AROUND);
                    self.fill(template, want);
                }
                _ => self.scoped(want),
            }
        }
        self.depth -= 1;
    }

    /// An expression that stands for itself: mostly in parentheses, where it may not need them.
    fn operand(&mut self, want: Want) {
        if self.choices.one_in(24) {
            self.expression(want);
        } else {
            self.put("(");
            self.expression(want);
            self.put(")");
        }
    }

    /// Something without parts, or a variable.
    fn leaf(&mut self, want: Want) {
        if self.choices.below(3) > 0 {
            let fitting: Vec<usize> =
                (0..self.scope.len()).filter(|at| self.scope[*at].1 == want).collect();
            if !fitting.is_empty() {
                let at = fitting[self.choices.below(fitting.len().min(200))];
                let name = self.scope[at].0.clone();
                return self.put(&name);
            }
            if !self.scope.is_empty() && self.choices.one_in(24) {
                let at = self.choices.below(self.scope.len().min(200));
                let name = self.scope[at].0.clone();
                return self.put(&name);
            }
        }
        self.literal(want);
    }

    /// Writes a template: `~` and a letter is a hole, as the head of `templates` says.
    fn fill(&mut self, template: &str, want: Want) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('~') {
            self.put(before);
            let letter = after.chars().next().expect("a letter follows the mark");
            rest = &after[letter.len_utf8()..];
            match letter {
                '(' => {
                    let (shape, behind) = rest.split_once(')').expect("a shape is closed");
                    rest = behind;
                    self.function(shape);
                }
                'W' => self.operand(want),
                'n' => {
                    let want = if self.choices.one_in(3) { Want::Float } else { Want::Int };
                    self.operand(want);
                }
                letter => match templates::want(letter) {
                    Some(want) => self.operand(want),
                    None => self.special(letter),
                },
            }
        }
        self.put(rest);
    }

    /// A function of a shape such as `i>s>b`, in parentheses.
    fn function(&mut self, shape: &str) {
        let mut wants =
            shape.chars().filter(|c| *c != '>').map(|c| templates::want(c).unwrap_or(Want::Any));
        let result = wants.next_back().expect("a function has a result");
        if self.choices.one_in(20) {
            return self.operand(Want::Function);
        }
        let known = self.scope.len();
        self.put("(");
        for want in wants {
            let name = self.name();
            self.put(&name);
            self.put(": ");
            self.scope.push((name, want));
        }
        self.expression(result);
        self.put(")");
        self.scope.truncate(known);
    }

    /// Forms that bind names.
    fn scoped(&mut self, want: Want) {
        let known = self.scope.len();
        match self.choices.below(9) {
            0 | 1 => {
                self.put("let ");
                self.bindings();
                self.put("in ");
                self.expression(want);
            }
            2 => {
                self.put("with { ");
                self.bindings();
                self.put("}; ");
                self.expression(want);
            }
            3 => self.call(want),
            4 | 5 => self.call_by_names(want),
            6 => {
                let last = self.name();
                self.put("rec { ");
                self.bindings();
                self.put(&last);
                self.put(" = ");
                self.expression(want);
                self.put("; }.");
                self.put(&last);
            }
            7 => {
                let (set, name) = (self.name(), self.name());
                self.put("let ");
                self.bindings();
                self.put(&format!("{set} = {{ {name} = "));
                self.expression(want);
                self.put(&format!("; }}; inherit ({set}) {name}; in {name}"));
            }
            _ => {
                let name = self.name();
                self.put(&format!("let {name} = builtins.tryEval "));
                self.operand(want);
                self.put(&format!("; in if {name}.success then {name}.value else "));
                self.expression(want);
            }
        }
        self.scope.truncate(known);
    }

    /// One to three bindings, which stay in scope. They see those before them, seldom all.
    fn bindings(&mut self) {
        let count = 1 + self.choices.below(3);
        let fresh: Vec<(String, Want)> = (0..count).map(|_| (self.name(), self.kind())).collect();
        let all = self.choices.one_in(6);
        if all {
            self.scope.extend(fresh.iter().cloned());
        }
        for (name, want) in fresh {
            self.put(&format!("{name} = "));
            self.expression(want);
            self.put("; ");
            if !all {
                self.scope.push((name, want));
            }
        }
    }

    fn call(&mut self, want: Want) {
        let (name, kind) = (self.name(), self.kind());
        self.put(&format!("({name}: "));
        self.scope.push((name, kind));
        self.expression(want);
        self.scope.pop();
        self.put(") ");
        self.operand(kind);
    }

    /// `({ a, b ? x, ... }@all: body) { a = y; }`
    fn call_by_names(&mut self, want: Want) {
        let known = self.scope.len();
        let count = 1 + self.choices.below(3);
        let formals: Vec<(String, Want)> = (0..count).map(|_| (self.name(), self.kind())).collect();
        let mut given = Vec::new();
        self.put("({ ");
        let sees_all = self.choices.one_in(2);
        if sees_all {
            self.scope.extend(formals.iter().cloned());
        }
        for (name, kind) in &formals {
            self.put(name);
            if self.choices.one_in(3) {
                self.put(" ? ");
                self.expression(*kind);
                if self.choices.one_in(2) {
                    given.push((name.clone(), *kind));
                }
            } else if !self.choices.one_in(30) {
                given.push((name.clone(), *kind));
            }
            self.put(", ");
        }
        let open = self.choices.one_in(2);
        self.out.truncate(self.out.len() - 2);
        self.put(if open { ", ... }" } else { " }" });
        if !sees_all {
            self.scope.extend(formals.iter().cloned());
        }
        if self.choices.one_in(3) {
            let all = self.name();
            self.put(&format!("@{all}"));
            self.scope.push((all, Want::Set));
        }
        self.put(": ");
        self.expression(want);
        self.scope.truncate(known);
        self.put(") { ");
        for (name, kind) in given {
            self.put(&format!("{name} = "));
            self.expression(kind);
            self.put("; ");
        }
        if self.choices.one_in(4) {
            self.put("extra = ");
            self.expression(Want::Any);
            self.put("; ");
        }
        self.put("}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::random;
    use crate::evaluate::{Outcome, evaluate};

    fn bytes(seed: u64) -> Vec<u8> {
        random(seed).take(300).collect()
    }

    #[test]
    fn the_same_bytes_make_the_same_program() {
        assert_eq!(generate(&bytes(1)), generate(&bytes(1)));
        assert_eq!(generate(b""), " 0");
    }

    /// A generator of programs that all fail, or all do, compares nothing.
    #[test]
    fn most_programs_have_a_value_and_some_fail() {
        let outcomes: Vec<Outcome> =
            (0..300).map(|seed| evaluate(generate(&bytes(seed)).as_bytes())).collect();
        let values = outcomes.iter().filter(|o| matches!(o, Outcome::Value(_))).count();
        let syntax = outcomes
            .iter()
            .filter(|o| matches!(o, Outcome::Failure(why) if why.starts_with("syntax error")))
            .count();
        assert!((90..290).contains(&values), "{values} of 300 have a value");
        assert!(syntax < 30, "{syntax} of 300 are no programs");
    }
}
