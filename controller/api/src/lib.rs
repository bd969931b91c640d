//! The controller's gRPC API, generated from `proto/weir/v1`, and what its clients need to reach it.

pub mod client;
pub mod tls;
pub mod token;

/// The protocol definitions themselves, comments included: a `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Messages, clients and servers of the package `weir.v1`. Clients that can take long lists are made by [`client`].
#[allow(missing_docs, unreachable_pub)] // What is generated is documented by the protocol.
pub mod v1 {
    tonic::include_proto!("weir.v1");
}
