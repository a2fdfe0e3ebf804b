//! Generates the messages and gRPC stubs from `proto/`, with a pure-Rust compiler: no `protoc` needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 4] = [
    "mindful/chat/v1/chat.proto",
    "mindful/inbox/v1/inbox.proto",
    "mindful/milestone/v1/milestone.proto",
    "mindful/signaling/v1/signaling.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    let stubs = tonic_prost_build::configure().build_client(grpc).build_server(grpc);
    stubs.include_file("mod.rs").compile_fds(descriptors)?;
    Ok(())
}
