//! The way a packet took, as a tree and as text.

use serde::Serialize;

use crate::types::{Cookie, Priority, TableId};

/// One thing that happened, and what happened within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is.
    #[serde(flatten)]
    pub kind: NodeKind,
    /// What is said of it.
    pub text: String,
    /// What happened within it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Self>,
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
pub(super) fn print(out: &mut String, nodes: &[Node], level: usize) {
    for (n, node) in nodes.iter().enumerate() {
        let deeper = usize::from(n + 1 < nodes.len() || node.kind.is_terminal());
        let indent = (level + deeper) * 4;
        let (before, after) = match node.kind {
            NodeKind::Detail => (" -> ", ""),
            NodeKind::Warning => (" >> ", ""),
            NodeKind::Error => (" >>>> ", " <<<<"),
            _ => ("", ""),
        };
        if node.kind == NodeKind::Bridge {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', indent));
        out.extend([before, &node.text, after, "\n"]);
        if node.kind == NodeKind::Bridge {
            out.extend(std::iter::repeat_n(' ', indent));
            out.extend(std::iter::repeat_n('-', node.text.chars().count()));
            out.push('\n');
        }
        print(out, &node.nodes, level + deeper * 2);
    }
}

/// A trace that is being written: the nodes that are open, the innermost last.
#[derive(Debug)]
pub(super) struct Recorder {
    open: Vec<Node>,
}

impl Recorder {
    pub(super) fn new(bridge: &str) -> Self {
        let text = format!("bridge(\"{bridge}\")");
        Self { open: vec![Node { kind: NodeKind::Bridge, text, nodes: Vec::new() }] }
    }

    /// Adds something within the innermost open node.
    pub(super) fn add(&mut self, kind: NodeKind, text: impl Into<String>) {
        if let Some(parent) = self.open.last_mut() {
            parent.nodes.push(Node { kind, text: text.into(), nodes: Vec::new() });
        }
    }

    /// Adds something and opens it.
    pub(super) fn open(&mut self, kind: NodeKind, text: impl Into<String>) {
        self.open.push(Node { kind, text: text.into(), nodes: Vec::new() });
    }

    /// Closes the innermost open node.
    pub(super) fn close(&mut self) {
        if self.open.len() > 1
            && let Some(node) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.nodes.push(node);
        }
    }

    /// The whole trace.
    pub(super) fn finish(mut self) -> Node {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().expect("the bridge's node is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_last_stands_no_deeper_than_its_list() {
        let table = |table, text: &str| {
            (NodeKind::Table { table: TableId(table), priority: None, cookie: None }, text.to_owned())
        };
        let mut recorder = Recorder::new("br0");
        let (kind, text) = table(0, " 0. ip");
        recorder.open(kind, text);
        recorder.add(NodeKind::Action, "resubmit(,1)");
        let (kind, text) = table(1, " 1. in the midst");
        recorder.open(kind, text);
        recorder.add(NodeKind::Action, "output:1");
        recorder.close();
        recorder.add(NodeKind::Action, "goto_table:2");
        recorder.add(NodeKind::Warning, "careful");
        let (kind, text) = table(2, " 2. last");
        recorder.open(kind, text);
        recorder.add(NodeKind::Action, "drop");
        let mut out = String::new();
        print(&mut out, &[recorder.finish()], 0);
        let expected = concat!(
            "\nbridge(\"br0\")\n-------------\n 0. ip\n    resubmit(,1)\n",
            "     1. in the midst\n            output:1\n",
            "    goto_table:2\n     >> careful\n 2. last\n    drop\n"
        );
        assert_eq!(out, expected);
    }
}
