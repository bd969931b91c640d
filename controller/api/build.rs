//! Compiles the protocol definitions without a system `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["pool", "network", "node", "container", "service", "volume", "status", "agent", "access"]
        .map(|name| format!("proto/weir/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let path = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
