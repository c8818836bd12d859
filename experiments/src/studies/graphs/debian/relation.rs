//! What a Debian package says of others: lists of dependencies, as Debian Policy 7.1 and dpkg's deb-src-control(5) have them.
//! Versions are not compared: within one suite those that are there satisfy.

/// One of the things that must hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Clause<'a> {
    /// The names of which one must be there, in order of preference.
    pub alternatives: Vec<&'a str>,
}

/// What must hold on an architecture when no build profile is chosen. Clauses that say nothing there are left out.
pub fn clauses<'a>(text: &'a str, architecture: &str) -> Vec<Clause<'a>> {
    let of = |clause: &'a str| {
        let names = clause.split('|').filter_map(|one| applies(one, architecture));
        Clause { alternatives: names.collect() }
    };
    text.split(',').map(of).filter(|clause| !clause.alternatives.is_empty()).collect()
}

/// The name, if the restrictions after it let it count.
fn applies<'a>(one: &'a str, architecture: &str) -> Option<&'a str> {
    let one = one.trim();
    let end = one.find([' ', '(', '[', '<', '\t']).unwrap_or(one.len());
    let (name, rest) = one.split_at(end);
    // `:any` and `:native` say for which machine; there is but one.
    let name = name.split(':').next()?;
    let counts = !name.is_empty() && architectures(rest, architecture) && profiles(rest);
    counts.then_some(name)
}

/// `[amd64 arm64]`: one of these; `[!amd64 !arm64]`: none of them.
fn architectures(rest: &str, architecture: &str) -> bool {
    let Some((_, rest)) = rest.split_once('[') else { return true };
    let list = rest.split(']').next().unwrap_or_default();
    let mut any = false;
    for word in list.split_whitespace() {
        match word.strip_prefix('!') {
            Some(not) if matches(not, architecture) => return false,
            Some(_) => any = true,
            None => any |= matches(word, architecture),
        }
    }
    any
}

/// `<!nocheck !cross> <stage1>`: one of the groups holds, all words of it. No profile is chosen, so words with `!` hold.
fn profiles(rest: &str) -> bool {
    // What stands in round brackets is a version, and may begin with `<<`.
    let rest = rest.rsplit(')').next().unwrap_or_default();
    let mut groups = rest.split('<').skip(1).map(|group| group.split('>').next()).peekable();
    groups.peek().is_none()
        || groups.flatten().any(|group| group.split_whitespace().all(|word| word.starts_with('!')))
}

/// Whether a word such as `any`, `linux-any`, `any-amd64` or `amd64` means an architecture.
pub fn matches(word: &str, architecture: &str) -> bool {
    let parts = |name: &'_ str| match name.rsplit_once('-') {
        Some((system, cpu)) => (system.to_owned(), cpu.to_owned()),
        None => ("linux".to_owned(), name.to_owned()),
    };
    if word == "any" {
        return true;
    }
    let ((system, cpu), (own_system, own_cpu)) = (parts(word), parts(architecture));
    (system == "any" || system == own_system) && (cpu == "any" || cpu == own_cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<Vec<&str>> {
        clauses(text, "amd64").into_iter().map(|clause| clause.alternatives).collect()
    }

    #[test]
    fn names_stand_without_versions_and_machines() {
        assert_eq!(
            named("debhelper-compat (= 13), python3:any, libc6-dev (<< 3) | libc-dev"),
            [vec!["debhelper-compat"], vec!["python3"], vec!["libc6-dev", "libc-dev"]]
        );
    }

    #[test]
    fn restrictions_take_clauses_away() {
        assert_eq!(
            named("a [amd64], b [!amd64], c [i386 arm64], d [linux-any], e [any-i386], f [!i386]"),
            [["a"], ["d"], ["f"]]
        );
        assert_eq!(
            named(
                "a <!nocheck>, b <cross>, c <stage1> <!nodoc>, d (<< 2) <!x y>, e (>= 1) [amd64] <!z>"
            ),
            [["a"], ["c"], ["e"]]
        );
    }
}
