//! Tape nodes as values of records: borrowed, walked on demand.

#![deny(clippy::indexing_slicing)]

use simd_json::{Node, StaticNode};

use crate::batch::record::{Attributes, Text, Value, Values};

/// Nodes that the value at `at` takes, itself counted.
pub(super) fn node_count(nodes: &[Node<'_>], at: usize) -> usize {
    match nodes.get(at) {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => 1 + count,
        _ => 1,
    }
}

/// The text of a string node; empty for others.
pub(super) fn text<'a>(nodes: &'a [Node<'_>], at: usize) -> &'a [u8] {
    match nodes.get(at) {
        Some(Node::String(text)) => text.as_bytes(),
        _ => b"",
    }
}

/// Hands the value at `at` to `then`. Whole numbers that fit an `i64` stay whole.
pub(super) fn with_value(nodes: &[Node<'_>], at: usize, then: &mut dyn FnMut(Value<'_>)) {
    let inside = |count: usize| nodes.get(at + 1..at + 1 + count).unwrap_or_default();
    match nodes.get(at) {
        None | Some(Node::Static(StaticNode::Null)) => then(Value::Empty),
        Some(Node::String(text)) => then(Value::Text((*text).into())),
        Some(Node::Static(StaticNode::Bool(value))) => then(Value::Bool(*value)),
        Some(Node::Static(StaticNode::I64(value))) => then(Value::Int(*value)),
        Some(Node::Static(StaticNode::U64(value))) => then(match i64::try_from(*value) {
            Ok(value) => Value::Int(value),
            #[allow(clippy::cast_precision_loss, reason = "what JSON readers do beyond i64")]
            Err(_) => Value::Double(*value as f64),
        }),
        Some(Node::Static(StaticNode::F64(value))) => then(Value::Double(*value)),
        Some(Node::Array { count, .. }) => then(Value::Array(&Elements(inside(*count)))),
        Some(Node::Object { count, .. }) => then(Value::Map(&Members(inside(*count)))),
    }
}

/// What stands inside an array.
struct Elements<'a>(&'a [Node<'a>]);

impl Values for Elements<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        let mut at = 0;
        while at < self.0.len() {
            with_value(self.0, at, visit);
            at += node_count(self.0, at);
        }
    }
}

/// What stands inside an object. Of members with one name all are walked, the last one last.
struct Members<'a>(&'a [Node<'a>]);

impl Attributes for Members<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut at = 0;
        while at < self.0.len() {
            let key = Text(text(self.0, at));
            with_value(self.0, at + 1, &mut |value| visit(key, value));
            at += 1 + node_count(self.0, at + 1);
        }
    }
}
