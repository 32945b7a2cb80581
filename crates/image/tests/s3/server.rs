//! A server that speaks S3, and how it is told what to have.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use firesteel_image::{S3Credentials, S3Settings, S3Store};

const SIGNATURE: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

pub(crate) struct Server {
    address: String,
    process: Child,
}

impl Server {
    /// The error is why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let program =
            std::env::var_os("FIRESTEEL_MOTO_SERVER").unwrap_or_else(|| OsString::from("moto_server"));
        let mut process = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("starting {}: {error}", program.display()))?;
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("Running on http://")?.1.trim().to_owned()));
        let Some(address) = address else {
            process.wait().unwrap();
            return Err(format!("{} ends without saying where it listens", program.display()));
        };
        // It would wait for a reader of what it says.
        thread::spawn(move || lines.for_each(drop));
        Ok(Server { address, process })
    }

    pub(crate) fn settings(&self) -> S3Settings {
        S3Settings {
            endpoint: Some(format!("http://{}", self.address)),
            region: "us-east-1".to_owned(),
            credentials: Some(S3Credentials {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
                session_token: None,
            }),
            path_style: true,
        }
    }

    pub(crate) fn store(&self) -> S3Store {
        S3Store::new(self.settings()).unwrap()
    }

    pub(crate) fn make_bucket(&self, name: &str) {
        self.request("PUT", &format!("/{name}"), "");
    }

    pub(crate) fn keep_versions(&self, bucket: &str) {
        let status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.request("PUT", &format!("/{bucket}?versioning"), status);
    }

    /// Writes an object and gives its version, if its bucket keeps them.
    pub(crate) fn make_object(&self, bucket: &str, key: &str, content: &str) -> Option<String> {
        let head = self.request("PUT", &format!("/{bucket}/{key}"), content);
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let version = fields.find(|(name, _)| name.eq_ignore_ascii_case("x-amz-version-id"))?;
        Some(version.1.to_owned())
    }

    /// From now on credentials count; none are known. Undone when dropped.
    pub(crate) fn authenticating(&self) -> Authenticating<'_> {
        self.request("POST", "/moto-api/reset-auth", "0");
        Authenticating(self)
    }

    /// The head of the answer, which must be one of success. Signed by anybody, since without a signature not
    /// everything is allowed.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {SIGNATURE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer.split("\r\n\r\n").next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Authenticating<'a>(&'a Server);

impl Drop for Authenticating<'_> {
    fn drop(&mut self) {
        self.0.request("POST", "/moto-api/reset-auth", "inf");
    }
}
