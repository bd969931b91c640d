//! The way a packet took, as a tree and as text.

use serde::Serialize;

use crate::types::{Cookie, Priority, TableId};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Within how many others: in those of the nodes before it that are the last of each lower depth.
    pub depth: usize,
    /// What it is.
    #[serde(flatten)]
    pub kind: NodeKind,
    /// What is said of it.
    pub text: String,
}

/// What a node of a trace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeKind {
    /// The packet enters the switch.
    Bridge,
    /// It goes on where it was held.
    Thaw,
    /// It is looked up in a table, and a flow acts.
    Table {
        /// The table.
        table: TableId,
        /// The flow's priority, if there is one for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<Priority>,
        /// The flow's cookie.
        #[serde(skip_serializing_if = "Option::is_none")]
        cookie: Option<Cookie>,
    },
    /// The action set.
    ActionSet,
    /// A bucket of a group.
    Bucket,
    /// An action.
    Action,
    /// What came of it.
    Detail,
    /// Something that may not be meant.
    Warning,
    /// Something that is wrong.
    Error,
}

impl NodeKind {
    /// Whether text indents such a node even if nothing follows it.
    fn is_terminal(&self) -> bool {
        matches!(self, Self::Bucket | Self::Action | Self::Detail | Self::Warning | Self::Error)
    }
}

/// Appends nodes as `ofproto/trace` prints them.
///
/// What follows from the last thing in a list stands no deeper than the list, so that long chains do not run off to
/// the right.
pub(super) fn print(out: &mut String, nodes: &[Node]) {
    // How far what lies within the node of each depth is indented.
    let mut levels = vec![0];
    for (node, is_last) in nodes.iter().zip(are_last(nodes)) {
        levels.truncate(node.depth + 1);
        let level = levels.last().copied().unwrap_or_default();
        let deeper = usize::from(!is_last || node.kind.is_terminal());
        levels.push(level + deeper * 2);
        let indent = std::iter::repeat_n(' ', (level + deeper).min(MAX_LEVEL) * INDENT);
        let (before, after) = match node.kind {
            NodeKind::Detail => (" -> ", ""),
            NodeKind::Warning => (" >> ", ""),
            NodeKind::Error => (" >>>> ", " <<<<"),
            _ => ("", ""),
        };
        if node.kind == NodeKind::Bridge {
            out.push('\n');
        }
        out.extend(indent.clone());
        out.extend([before, &node.text, after, "\n"]);
        if node.kind == NodeKind::Bridge {
            out.extend(indent);
            out.extend(std::iter::repeat_n('-', node.text.chars().count()));
            out.push('\n');
        }
    }
}

const INDENT: usize = 4;
/// Beyond this, lines are indented no further.
const MAX_LEVEL: usize = 256;

/// Whether each node is the last of its list.
fn are_last(nodes: &[Node]) -> Vec<bool> {
    // Of each depth, whether there is a later node in the list.
    let mut has_later: Vec<bool> = Vec::new();
    let mut are_last: Vec<bool> = nodes
        .iter()
        .rev()
        .map(|node| {
            has_later.resize(node.depth + 1, false);
            !std::mem::replace(&mut has_later[node.depth], true)
        })
        .collect();
    are_last.reverse();
    are_last
}

/// A trace that is being written.
#[derive(Debug)]
pub(super) struct Recorder {
    nodes: Vec<Node>,
    /// How many nodes are open.
    depth: usize,
}

impl Recorder {
    pub(super) fn new(bridge: &str) -> Self {
        let text = format!("bridge(\"{bridge}\")");
        Self { nodes: vec![Node { depth: 0, kind: NodeKind::Bridge, text }], depth: 1 }
    }

    /// Adds something within the innermost open node.
    pub(super) fn add(&mut self, kind: NodeKind, text: String) {
        self.nodes.push(Node { depth: self.depth, kind, text });
    }

    /// Opens what was added last.
    pub(super) fn open(&mut self) {
        self.depth += 1;
    }

    /// Closes the innermost open node.
    pub(super) fn close(&mut self) {
        self.depth -= 1;
    }

    /// The most spaces that a line may get in front.
    pub(super) fn indent(&self) -> usize {
        (self.depth * 2).min(MAX_LEVEL) * INDENT
    }

    /// The whole trace.
    pub(super) fn finish(self) -> Vec<Node> {
        self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_last_stands_no_deeper_than_its_list() {
        let table = |table| NodeKind::Table { table: TableId(table), priority: None, cookie: None };
        let nodes = [
            (0, NodeKind::Bridge, "bridge(\"br0\")"),
            (1, table(0), " 0. ip"),
            (2, NodeKind::Action, "resubmit(,1)"),
            (2, table(1), " 1. in the midst"),
            (3, NodeKind::Action, "output:1"),
            (2, NodeKind::Action, "goto_table:2"),
            (2, NodeKind::Warning, "careful"),
            (2, table(2), " 2. last"),
            (3, NodeKind::Action, "drop"),
        ];
        let nodes = nodes.map(|(depth, kind, text)| Node { depth, kind, text: text.to_owned() });
        let mut out = String::new();
        print(&mut out, &nodes);
        let expected = concat!(
            "\nbridge(\"br0\")\n-------------\n 0. ip\n    resubmit(,1)\n",
            "     1. in the midst\n            output:1\n",
            "    goto_table:2\n     >> careful\n 2. last\n    drop\n"
        );
        assert_eq!(out, expected);
    }
}
