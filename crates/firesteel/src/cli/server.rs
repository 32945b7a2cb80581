//! What keeps and isolates functions: of every command that runs them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::isolation::Isolation;

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// Folder for what is kept: logs, unpacked packages, the functions' /tmp [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Keep no log files: lines go to stderr only
    #[arg(long)]
    pub(crate) no_log_files: bool,

    /// Region that functions believe they are in
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    pub(crate) region: String,

    /// Account that functions belong to
    #[arg(long, value_name = "ID", default_value = "000000000000", value_parser = account_id)]
    pub(crate) account_id: String,

    #[command(flatten)]
    pub(crate) isolation: IsolationArguments,
}

/// By what functions are held apart, from each other and from the host.
#[derive(Debug, Args)]
pub(crate) struct IsolationArguments {
    /// auto (namespaces where this machine allows them), namespace, oci (containers; oci:crun or oci:/path: by this OCI
    /// runtime), or process (none)
    #[arg(long, value_name = "KIND", default_value = "auto", env = "FIRESTEEL_ISOLATION")]
    pub(crate) isolation: Isolation,

    /// What functions can reach beside their own loopback [default: egress where this machine allows it, else none]
    #[arg(long, value_name = "KIND", env = "FIRESTEEL_NETWORK")]
    pub(crate) network: Option<Network>,

    /// What functions may reach although it is this machine's, such as 127.0.0.1:5432 or 10.0.0.0/8; may be repeated
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "ADDRESS[/BITS][:PORT]")]
    pub(crate) egress_allow: Vec<firesteel_sandbox::network::Allowed>,
}

/// What functions can reach beside their own loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Nothing
    None,
    /// Everything outside of this machine
    Egress,
    /// All that this machine can, itself included: for development against local services
    Host,
}

fn region(value: &str) -> Result<String, String> {
    let parts: Vec<&str> = value.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, names))
            if names.len() >= 2
                && names.iter().all(letters)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(value.to_owned())
        }
        _ => Err("a region looks like us-east-1".into()),
    }
}

pub(super) fn account_id(value: &str) -> Result<String, String> {
    if value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(value.to_owned())
    } else {
        Err("an account id is twelve digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_accounts_are_checked() {
        assert!(region("us-east-1").is_ok() && region("us-gov-west-1").is_ok());
        assert!(region("").is_err() && region("mars").is_err() && region("us-east-x").is_err());
        assert!(account_id("000000000000").is_ok());
        assert!(account_id("1").is_err() && account_id("00000000000x").is_err());
    }
}
