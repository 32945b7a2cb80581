//! What the program itself tells people, on stderr.

use std::fmt;
use std::io::Write;

/// Writes a line. Whoever read stderr may have gone away, as `head` does; that ends nothing here, while
/// `eprintln!` would panic.
pub(crate) fn tell(line: impl fmt::Display) {
    // One write, so that lines of functions do not come in between.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
