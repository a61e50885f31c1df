//! "Did you mean": the nearest of a few names.

/// Returns the candidate that `text` was probably meant to be.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.chars().count() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(text);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let target = plain(candidate);
            let distance = distance(&wanted, &target);
            // A third of the letters may be wrong; of a short name one.
            let most = (wanted.chars().count().max(target.chars().count()) / 3).max(1);
            (distance <= most && distance < target.chars().count()).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_letters_and_swaps() {
        for (a, b, n) in
            [("", "", 0), ("", "abc", 3), ("abc", "acb", 1), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
            assert_eq!(distance(b, a), n, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_nonsense_is_not() {
        let keys = ["version", "podSubnet", "serviceSubnet", "dnsDomain", "vip", "vips"];
        for (text, found) in [
            ("podSubnets", Some("podSubnet")),
            ("pod_subnet", Some("podSubnet")),
            ("PODSUBNET", Some("podSubnet")),
            ("vesrion", Some("version")),
            ("servicesubnet", Some("serviceSubnet")),
            ("vpi", Some("vip")),
            ("x", None),
            ("clusterDNS", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, keys), found, "{text}");
        }
    }
}
