//! The controller's gRPC API, generated from `proto/weir/v1`.

/// Messages, clients and servers of the package `weir.v1`.
pub mod v1 {
    tonic::include_proto!("weir.v1");
}
