//! Weir's node agent: bridges, ports and containers of one node.
