//! Ansible's INI form: sections of hosts, children and variables.

use super::{Groups, Vars};

/// Reads a text.
///
/// # Errors
/// With the line.
pub(super) fn read(text: &str) -> Result<Groups, String> {
    let mut groups = Groups::default();
    let mut group = "ungrouped".to_owned();
    let mut part = "hosts".to_owned();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let Some((name, _)) = section.split_once(']') else {
                return Err(format!("line {}: the bracket of `{line}` does not close", number + 1));
            };
            let (name, kind) = name.split_once(':').unwrap_or((name, "hosts"));
            (group, part) = (name.trim().to_owned(), kind.trim().to_owned());
            groups.groups.entry(group.clone()).or_default();
            continue;
        }
        let words = words(line);
        let Some((first, rest)) = words.split_first() else { continue };
        match part.as_str() {
            "children" => {
                groups.groups.entry(group.clone()).or_default().children.push(first.clone());
            }
            "vars" => {
                if let Some((name, value)) = line.split_once('=') {
                    let value = value.trim().trim_matches(['"', '\'']).to_owned();
                    groups
                        .groups
                        .entry(group.clone())
                        .or_default()
                        .vars
                        .insert(name.trim().to_owned(), value);
                }
            }
            "hosts" => {
                let pair = |word: &String| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                let vars: Vars = rest.iter().filter_map(pair).collect();
                expand(first).iter().for_each(|host| groups.host(&group, host, vars.clone()));
            }
            other => return Err(format!("line {}: no kind of section: `{other}`", number + 1)),
        }
    }
    Ok(groups)
}

/// Words, with quotes taken off, up to a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        let fresh = words.last().is_some_and(String::is_empty);
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#' | ';') if fresh => break,
            (None, c) if c.is_whitespace() => {
                if !fresh {
                    words.push(String::new());
                }
            }
            (_, c) => words.last_mut().iter_mut().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// More hosts than this in one range are a slip.
const MOST: u32 = 1000;

/// A range of numbers in a host's name: `node[01:12]`, `node[1:9:2]`.
pub(super) fn expand(name: &str) -> Vec<String> {
    let parts = || {
        let (before, rest) = name.split_once('[')?;
        let (range, after) = rest.split_once(']')?;
        let numbers: Vec<&str> = range.split(':').collect();
        let (first, last, step) = match numbers[..] {
            [first, last] => (first, last, 1),
            [first, last, step] => (first, last, step.parse::<u32>().ok().filter(|step| *step > 0)?),
            _ => return None,
        };
        let width = if first.starts_with('0') { first.len() } else { 0 };
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        (last.checked_sub(first)? <= MOST).then(|| {
            (first..=last)
                .step_by(usize::try_from(step).unwrap_or(1))
                .map(|number| format!("{before}{number:0width$}{after}"))
                .collect()
        })
    };
    parts().unwrap_or_else(|| vec![name.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_their_zeros() {
        assert_eq!(expand("n[08:10].x"), ["n08.x", "n09.x", "n10.x"]);
        assert_eq!(expand("n[1:5:2]"), ["n1", "n3", "n5"]);
        for odd in ["n[a:c]", "n[1", "n[3:1]", "n[0:4000000000]", "n[1:2:0]"] {
            assert_eq!(expand(odd), [odd]);
        }
    }

    #[test]
    fn words_end_at_a_comment() {
        assert_eq!(words("a b=\"c d\" e='#f' # g"), ["a", "b=c d", "e=#f"]);
    }
}
