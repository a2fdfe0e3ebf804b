//! The `local-stack` program.

fn main() {}
