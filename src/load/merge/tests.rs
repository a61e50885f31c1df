use proptest::prelude::*;

use super::*;
use crate::source::{Sources, Span, Spanned};

fn node(value: Value, span: Span) -> Node {
    Node { value, span }
}

/// A tree of few keys, so that two of them meet often.
fn tree(span: Span) -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Bool(true)),
        "[xy]".prop_map(|text| Value::Scalar { text, kind: ScalarKind::Str }),
        Just(Value::List(Vec::new())),
    ];
    let value = leaf.prop_recursive(3, 12, 3, move |inner| {
        proptest::collection::btree_map("[abc]|hosts|schema", inner, 0..4).prop_map(move |map| {
            let entry = |(key, value)| Entry { key: Spanned::new(key, span), value: node(value, span) };
            Value::Map(map.into_iter().map(entry).collect())
        })
    });
    proptest::collection::btree_map("[abc]|hosts|schema", value, 0..5).prop_map(move |map| {
        let entry = |(key, value)| Entry { key: Spanned::new(key, span), value: node(value, span) };
        node(Value::Map(map.into_iter().map(entry).collect()), span)
    })
}

fn sorted(mut tree: Node) -> Node {
    if let Value::Map(entries) = &mut tree.value {
        for entry in entries.iter_mut() {
            let value = std::mem::replace(&mut entry.value, node(Value::Null, entry.key.span));
            entry.value = sorted(value);
        }
        entries.sort_by(|a, b| a.key.value.cmp(&b.key.value));
    }
    tree
}

fn merged(mut into: Node, from: Node) -> (Node, usize) {
    let mut report = Report::new();
    merge(&mut into, from, &mut report);
    (sorted(into), report.counts().0)
}

fn place() -> Span {
    let mut sources = Sources::new();
    Span::new(sources.add("a", ""), 0..0)
}

proptest! {
    #[test]
    fn the_order_of_documents_has_no_meaning(a in tree(place()), b in tree(place())) {
        let (one, errors) = merged(a.clone(), b.clone());
        let (other, other_errors) = merged(b, a);
        prop_assert_eq!(errors, other_errors);
        if errors == 0 {
            prop_assert_eq!(one, other);
        }
    }
}

#[test]
fn large_maps_merge_in_linear_time() {
    let span = place();
    let map = |offset: usize| {
        let entries = (0..200_000).map(|number| Entry {
            key: Spanned::new(format!("k{}", number + offset), span),
            value: node(Value::Bool(true), span),
        });
        node(Value::Map(entries.collect()), span)
    };
    let (tree, errors) = merged(map(0), map(100_000));
    assert_eq!((tree.entries().len(), errors), (300_000, 100_000));
}
