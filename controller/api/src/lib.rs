//! The controller's gRPC API, generated from `proto/weir/v1`.

pub mod client;

/// The protocol definitions themselves, comments included: a `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Messages, clients and servers of the package `weir.v1`. Clients that can take long lists are made by [`client`].
pub mod v1 {
    tonic::include_proto!("weir.v1");
}
