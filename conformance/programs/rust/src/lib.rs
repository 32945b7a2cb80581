//! How these programs speak with the check that runs them: HTTP to the address in `RENDEZVOUS`, where
//! `rendezvous.py` listens.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Tells the check something, under a name.
pub async fn tell(name: &str, what: &str) -> Result<(), Error> {
    exchange("POST", name, what).await
}

/// Waits until the check has given the sign of this name.
pub async fn wait_for(sign: &str) -> Result<(), Error> {
    exchange("GET", sign, "").await
}

/// An own connection for each exchange: one that waits is in nobody's way.
async fn exchange(method: &str, path: &str, body: &str) -> Result<(), Error> {
    let address = std::env::var("RENDEZVOUS")?;
    let mut connection = TcpStream::connect(&address).await?;
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("{method} /{path}: {answer:?}").into()),
    }
}
