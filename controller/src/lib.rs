//! Weir's controller: intent, orchestration, compilation to segments, OpenFlow sessions.
