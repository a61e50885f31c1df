//! Pairs the members of two lists so that what was put in or taken out is recognised.

use std::collections::BTreeMap;

/// Up to how many pairs of list members the best alignment is looked for.
const MAX_PAIRS: usize = 1 << 18;

/// Pairs the members of two lists: equal ones along a longest common subsequence, those between them one by one.
pub(super) fn align<T: Ord>(old: &[T], new: &[T]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut numbers: BTreeMap<&T, usize> = BTreeMap::new();
    let mut ids = |node| {
        let next = numbers.len();
        *numbers.entry(node).or_insert(next)
    };
    let a: Vec<usize> = old.iter().map(&mut ids).collect();
    let b: Vec<usize> = new.iter().map(&mut ids).collect();
    let mut pairs = Vec::new();
    let mut from = (0, 0);
    for (i, j) in common(&a, &b).into_iter().chain([(a.len(), b.len())]) {
        for at in 0..(i - from.0).max(j - from.1) {
            let (x, y) = (from.0 + at, from.1 + at);
            pairs.push(((x < i).then_some(x), (y < j).then_some(y)));
        }
        from = (i + 1, j + 1);
    }
    pairs
}

/// A longest common subsequence, as pairs of places.
fn common(a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    let (rows, columns) = (inner_a.len(), inner_b.len());
    if rows.saturating_mul(columns) <= MAX_PAIRS {
        let width = columns + 1;
        let mut lengths = vec![0_u32; (rows + 1) * width];
        for i in (0..rows).rev() {
            for j in (0..columns).rev() {
                lengths[i * width + j] = if inner_a[i] == inner_b[j] {
                    lengths[(i + 1) * width + j + 1] + 1
                } else {
                    lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < rows && j < columns {
            if inner_a[i] == inner_b[j] {
                pairs.push((head + i, head + j));
                i += 1;
                j += 1;
            } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    pairs.extend((0..tail).map(|at| (a.len() - tail + at, b.len() - tail + at)));
    pairs
}
