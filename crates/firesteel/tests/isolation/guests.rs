//! Functions of these tests.

use std::path::Path;

use crate::harness::function::Function;

const GUEST: &str = include_str!("../cli/harness/guest.py");

/// Every root has the system's folders, and not what a version manager keeps at somebody's home.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// A `bootstrap` that plays `script`, Python with the names of `guest.py`. Notes cannot be left: nothing of the host can
/// be written.
pub(crate) fn scripted(script: &str) -> Function {
    Function::bootstrap(&format!("#!{PYTHON} -SEs\nNOTES = '/nowhere'\n{GUEST}\n{script}\n"))
}

/// The hostile guest, as a copy of its own.
pub(crate) fn hostile() -> Function {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/isolation/hostile");
    let mut function = Function::empty();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let name = path.file_name().unwrap().to_str().unwrap();
            function = function.with(name, std::fs::read(&path).unwrap(), 0o644);
        }
    }
    function
}
