//! Labs in network namespaces, the quickstart's report and the system tests.
