//! `--url` and `--url-stream`: which functions have a URL, and where.

use std::net::SocketAddr;

use firesteel_api::function_url::{FunctionUrl, InvokeMode};
use firesteel_catalog::FunctionName;
use tokio::net::TcpListener;

use crate::cli::{ServeArguments, Url};
use crate::exit::Failure;
use crate::listen;

/// A URL that is about to be served.
#[derive(Debug)]
pub(crate) struct BoundUrl {
    pub(crate) url: FunctionUrl,
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens for every URL asked for, if every one is a function's.
pub(crate) async fn listen(
    arguments: &ServeArguments,
    served: &[FunctionName],
) -> Result<Vec<BoundUrl>, Failure> {
    let buffered = arguments.url.iter().map(|url| ("--url", url, InvokeMode::Buffered));
    let streamed = arguments.url_stream.iter().map(|url| ("--url-stream", url, InvokeMode::ResponseStream));
    let mut bound = Vec::new();
    for (flag, Url { function, address }, mode) in buffered.chain(streamed) {
        let Some(name) = served.iter().find(|name| name.as_str() == function) else {
            return Err(no_function(flag, function, served));
        };
        let option = format!("{flag} {name}=");
        let (listener, address) = listen::listen(&option, *address, false).await?;
        bound.push(BoundUrl { url: FunctionUrl { function: name.clone(), mode }, listener, address });
    }
    Ok(bound)
}

fn no_function(flag: &str, function: &str, served: &[FunctionName]) -> Failure {
    let names: Vec<_> = served.iter().map(|name| format!("{flag} {name}")).collect();
    Failure::usage(format!("{flag} is for a function that is served, and `{function}` is not"))
        .try_next(names.join(", or "))
}
