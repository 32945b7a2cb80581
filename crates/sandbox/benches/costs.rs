//! What things cost.
fn main() {}
