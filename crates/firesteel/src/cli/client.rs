//! Commands that talk to a server.

use std::path::PathBuf;

use clap::Args;

use super::server::account_id;

/// Which server. Requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, if there are any.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct EndpointArguments {
    /// The server; requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where they are set
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000", env = "FIRESTEEL_ENDPOINT")]
    pub(crate) endpoint: String,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    /// A folder, a .zip or an executable
    pub(crate) target: String,

    /// Name of the function [default: from the target]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Publish it as its next version, too
    #[arg(long)]
    pub(crate) publish: bool,

    /// Handler, such as app.handler [default: found out]
    #[arg(long, value_name = "HANDLER")]
    pub(crate) handler: Option<String>,

    /// Runtime, such as python3.13, nodejs22.x, provided.al2023 [default: found out]
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<String>,

    /// Memory in MB [default: 128, or as it is]
    #[arg(long, value_name = "MB")]
    pub(crate) memory: Option<u32>,

    /// Size of /tmp in MB [default: 512, or as it is]
    #[arg(long, value_name = "MB")]
    pub(crate) ephemeral_storage: Option<u32>,

    /// Timeout in seconds [default: 3, or as it is]
    #[arg(long, value_name = "S")]
    pub(crate) timeout: Option<u32>,

    /// Environment variable; may be repeated. Those given replace all there were
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<String>,

    /// File of environment variables, one K=V a line; --env goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// ARN of a layer version; may be repeated, later ones over earlier ones
    #[arg(long, value_name = "ARN")]
    pub(crate) layer: Vec<String>,

    /// What the function is for
    #[arg(long)]
    pub(crate) description: Option<String>,

    /// ARN of the function's role, which is shown and has no effect here
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,

    /// Account that a role is made up for when none is given
    #[arg(long, value_name = "ID", default_value = "000000000000", value_parser = account_id)]
    pub(crate) account_id: String,

    /// The server's whole answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// Name of the function
    pub(crate) name: String,

    /// What this version is for [default: as the function's]
    #[arg(long)]
    pub(crate) description: Option<String>,

    /// The server's whole answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FunctionsArguments {
    /// As JSON, with all that the server tells
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OfFunctionArguments {
    /// Name of the function
    pub(crate) name: String,

    /// As JSON, with all that the server tells
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// Name of the function
    pub(crate) name: String,

    /// Only this version
    #[arg(long, value_name = "N", conflicts_with = "alias")]
    pub(crate) version: Option<String>,

    /// Only this alias
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}
