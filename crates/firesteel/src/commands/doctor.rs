//! `firesteel doctor`: what this machine can hold functions by.
//!
//! The report goes to stdout; what was found on the way, such as the remains of a killed run, to stderr.

use std::io::Write;

use crate::cli::DoctorArguments;
use crate::data_folder::DataFolder;
use crate::doctor;
use crate::exit::{Exit, Failure};
use crate::isolation;

pub(crate) async fn run(arguments: DoctorArguments) -> Result<Exit, Failure> {
    let data = DataFolder::open(arguments.data.as_deref())?;
    isolation::remove_abandoned().await;
    let report = tokio::select! {
        report = doctor::examine(&arguments.isolation, &data) => report,
        exit = super::invoke::interrupted() => return Ok(exit),
    };
    // Colours are taken out unless a terminal shows them.
    let mut stdout = anstream::AutoStream::auto(std::io::stdout().lock());
    let text = if arguments.json { report.json() + "\n" } else { report.table() };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            return Err(Failure::platform("the report could not be written to stdout").because(&error));
        }
    }
    Ok(if report.is_well() { Exit::Success } else { Exit::FunctionFailed })
}
