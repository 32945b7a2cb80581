//! sandbox-init
