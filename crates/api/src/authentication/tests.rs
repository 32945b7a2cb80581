//! Requests signed by the SDK's own signer, and what becomes of those that are changed afterwards.

mod chunks;
mod layer;

use super::*;
use aws_credential_types::Credentials as Signer;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderValue, Request, Uri};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

const FILE: &str = r#"{"Credentials": [
    {"AccessKeyId": "ALICE", "SecretAccessKey": "alices/secret", "Arn": "arn:aws:iam::123456789012:user/alice"},
    {"AccessKeyId": "SESSION", "SecretAccessKey": "s", "SessionToken": "a/token+", "Expiration": "2027-01-15T08:01:00Z",
     "Arn": "arn:aws:sts::123456789012:assumed-role/role/session"}
]}"#;
/// 2027-01-15T08:00:00Z
const NOW: i64 = 1_800_000_000;
const PATH: &str = "/2015-03-31/functions/f%3A1/invocations?Qualifier=1";

fn authenticator() -> Authenticator {
    let credentials = Arc::new(Credentials::parse(FILE).unwrap());
    Authenticator::new(credentials, "us-east-1", Replay::Refused)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

/// How a test's request is signed; by default as SDKs sign.
struct Signing {
    key: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    service: &'static str,
    seconds: i64,
    expires: Option<u64>,
    settings: SigningSettings,
}

impl Default for Signing {
    fn default() -> Self {
        Signing {
            key: "ALICE",
            secret: "alices/secret",
            token: None,
            region: "us-east-1",
            service: "lambda",
            seconds: 0,
            expires: None,
            settings: SigningSettings::default(),
        }
    }
}

impl Signing {
    /// The request as a server sees it: with the path alone in its first line, and a host header.
    fn sign(mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Parts {
        let mut request = Request::builder().method(method).uri(format!("http://127.0.0.1:9000{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        if let Some(expires) = self.expires {
            self.settings.signature_location = SignatureLocation::QueryParams;
            self.settings.expires_in = Some(Duration::from_secs(expires));
        }
        let identity = Signer::new(self.key, self.secret, self.token.map(str::to_owned), None, "test").into();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs((NOW + self.seconds).try_into().unwrap());
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(time)
            .settings(self.settings)
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(
            method,
            request.uri().to_string(),
            headers.iter().copied(),
            SignableBody::Bytes(body),
        );
        let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let (mut head, ()) = request.into_parts();
        head.headers.insert("host", HeaderValue::from_static("127.0.0.1:9000"));
        head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
        head
    }

    fn invoke(self) -> Parts {
        self.sign("POST", PATH, &[("x-amz-log-type", "Tail")], b"{}")
    }
}

fn verify(authenticator: &Authenticator, head: &Parts, body: &[u8], seconds: i64) -> Result<String, Refusal> {
    let pending = authenticator.begin(head, at(seconds))?;
    let (identity, verified) = pending.finish(Bytes::copy_from_slice(body), at(seconds))?;
    assert_eq!(verified, body);
    Ok(identity.access_key_id.clone())
}

/// The refusal's class and text, without strings to sign.
fn refused(head: &Parts, body: &[u8], seconds: i64) -> (&'static str, String) {
    let refusal = verify(&authenticator(), head, body, seconds).unwrap_err();
    (refusal.class(), refusal.to_string().lines().next().unwrap().to_owned())
}

const INVALID: &str = "InvalidSignatureException";
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
                        AWS Secret Access Key and signing method. Consult the service documentation for details.";

fn mismatch() -> (&'static str, String) {
    (INVALID, MISMATCH.to_owned())
}

fn misplaced(text: &str) -> (&'static str, String) {
    (INVALID, text.to_owned())
}

#[test]
fn a_signed_request_is_its_signers() {
    assert_eq!(verify(&authenticator(), &Signing::default().invoke(), b"{}", 0).unwrap(), "ALICE");
    let session = Signing { key: "SESSION", secret: "s", token: Some("a/token+"), ..Signing::default() };
    assert_eq!(verify(&authenticator(), &session.invoke(), b"{}", 59).unwrap(), "SESSION");
}

#[test]
fn a_header_with_the_bodys_hash_is_signed_like_any_other() {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let head = Signing { settings, ..Signing::default() }.invoke();
    assert!(head.headers.contains_key("x-amz-content-sha256"));
    assert_eq!(verify(&authenticator(), &head, b"{}", 0).unwrap(), "ALICE");
    assert_eq!(refused(&head, b"[]", 0), mismatch());
}

#[test]
fn a_presigned_url_is_good_until_it_expires_and_may_be_used_again() {
    for (key, secret, token) in [("ALICE", "alices/secret", None), ("SESSION", "s", Some("a/token+"))] {
        let head = Signing { key, secret, token, expires: Some(20), ..Signing::default() }.invoke();
        assert!(!head.headers.contains_key("authorization"));
        let authenticator = authenticator();
        for _ in 0..2 {
            assert_eq!(verify(&authenticator, &head, b"{}", 20).unwrap(), key);
        }
        let text = "Signature expired: 20270115T080000Z is now earlier than 20270115T080001Z (20270115T080021Z - 20 sec.)";
        assert_eq!(refused(&head, b"{}", 21), misplaced(text));
        assert_eq!(refused(&head, b"[]", 0), mismatch());
    }
}

#[test]
fn presigned_urls_are_complete_or_refused() {
    let head = Signing { expires: Some(20), ..Signing::default() }.invoke();
    let with = |from: &str, to: &str| {
        let mut head = head.clone();
        head.uri = head.uri.to_string().replace(from, to).parse().unwrap();
        refused(&head, b"{}", 0)
    };
    let incomplete = |text: &str| ("IncompleteSignatureException", text.to_owned());
    let missing =
        "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.";
    assert_eq!(with("X-Amz-Date", "X-Amz-Dat"), incomplete(missing));
    let seconds = "'X-Amz-Expires' must be a number of seconds from 1 to 604800, got '604801'. Re-examine the \
                   query-string parameters.";
    assert_eq!(with("X-Amz-Expires=20", "X-Amz-Expires=604801"), incomplete(seconds));
    assert_eq!(with("X-Amz-Expires=20", "X-Amz-Expires=40"), mismatch());
    let twice = "AWS query-string parameter 'X-Amz-Expires' is given more than once. Re-examine the query-string \
                 parameters.";
    assert_eq!(with("X-Amz-Expires=20", "X-Amz-Expires=20&X-Amz-Expires=40"), incomplete(twice));
}

#[test]
fn what_is_not_signed_is_nobodys() {
    let (head, ()) = Request::post(PATH).header("host", "h").body(()).unwrap().into_parts();
    let missing = ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned());
    assert_eq!(refused(&head, b"{}", 0), missing);
}

#[test]
fn an_authorization_that_is_not_whole_is_told_what_it_lacks() {
    let head = Signing::default().invoke();
    let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    let with = |authorization: &str| {
        let mut head = head.clone();
        head.headers.insert("authorization", authorization.parse().unwrap());
        let (class, text) = refused(&head, b"{}", 0);
        assert_eq!(class, "IncompleteSignatureException", "{text}");
        text.split("(Hashed").next().unwrap().to_owned()
    };
    let requires = |name: &str| format!("Authorization header requires '{name}' parameter. ");
    let all = requires("Credential") + &requires("Signature") + &requires("SignedHeaders");
    assert_eq!(with("Bearer token"), all);
    assert_eq!(with("AWS4-HMAC-SHA256"), all);
    assert_eq!(with(&authorization.replace("Signature=", "Sig=")), requires("Signature"));
    let no_pair = "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header. ";
    assert_eq!(with("AWS4-HMAC-SHA256 Credential, Signature=a"), no_pair);
    let algorithm = "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). ";
    assert_eq!(with(&authorization.replace("SHA256", "SHA1")), algorithm);
    let elements = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                    'ALICE/20270115/us-east-1/lambda'";
    assert_eq!(with(&authorization.replace("/aws4_request", "")), elements);

    let mut undated = head.clone();
    undated.headers.remove("x-amz-date");
    let (_, text) = refused(&undated, b"{}", 0);
    assert!(
        text.starts_with("Authorization header requires existence of either a 'X-Amz-Date' or"),
        "{text}"
    );
    let mut odd = head.clone();
    odd.headers.insert("x-amz-date", HeaderValue::from_static("yesterday"));
    let date =
        "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601";
    assert_eq!(refused(&odd, b"{}", 0), ("IncompleteSignatureException", date.to_owned()));
    let mut two = head;
    two.headers.append("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256"));
    assert_eq!(refused(&two, b"{}", 0).0, "IncompleteSignatureException");
}

#[test]
fn dates_are_good_for_five_minutes_either_way() {
    let head = Signing::default().invoke();
    for seconds in [-300, 300] {
        assert!(verify(&authenticator(), &head, b"{}", seconds).is_ok());
    }
    let expired = "Signature expired: 20270115T080000Z is now earlier than 20270115T080001Z (20270115T080501Z - 5 min.)";
    assert_eq!(refused(&head, b"{}", 301), misplaced(expired));
    let early = "Signature not yet current: 20270115T080000Z is still later than 20270115T075959Z (20270115T075459Z + 5 min.)";
    assert_eq!(refused(&head, b"{}", -301), misplaced(early));
}

#[test]
fn a_signature_for_elsewhere_is_refused() {
    let head = Signing { region: "eu-west-1", service: "s3", ..Signing::default() }.invoke();
    let both = "Credential should be scoped to a valid region, not 'eu-west-1'. Credential should be scoped to correct \
                service: 'lambda'. ";
    assert_eq!(refused(&head, b"{}", 0), misplaced(both));
    let mut head = Signing::default().invoke();
    let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    let changed = authorization.replace("20270115", "20270114").replace("aws4_request", "aws5_request");
    head.headers.insert("authorization", changed.parse().unwrap());
    let rest = "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. Date in \
                Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20270114' != \
                '20270115', from '20270115T080000Z'.";
    assert_eq!(refused(&head, b"{}", 0), misplaced(rest));
}

#[test]
fn the_host_and_what_steers_the_service_must_be_signed() {
    let mut head = Signing::default().invoke();
    let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    head.headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
    let event = "'x-amz-invocation-type' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(refused(&head, b"{}", 0), misplaced(event));
    head.headers.remove("x-amz-invocation-type");
    head.headers.insert("x-amz-user-agent", HeaderValue::from_static("added by an SDK after signing"));
    assert!(verify(&authenticator(), &head, b"{}", 0).is_ok());
    head.headers.insert("authorization", authorization.replace("=host;", "=").parse().unwrap());
    let host = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(refused(&head, b"{}", 0), misplaced(host));
}

#[test]
fn keys_secrets_and_tokens_have_to_be_known() {
    let unknown = || {
        ("UnrecognizedClientException", "The security token included in the request is invalid.".to_owned())
    };
    let with = |key, secret, token, seconds| {
        refused(&Signing { key, secret, token, ..Signing::default() }.invoke(), b"{}", seconds)
    };
    assert_eq!(with("MALLORY", "s", None, 0), unknown());
    assert_eq!(with("ALICE", "wrong", None, 0), mismatch());
    assert_eq!(with("ALICE", "alices/secret", Some("one too many"), 0), unknown());
    assert_eq!(with("SESSION", "s", None, 0), unknown());
    assert_eq!(with("SESSION", "s", Some("another"), 0), unknown());
    let over = "The security token included in the request is expired".to_owned();
    assert_eq!(with("SESSION", "s", Some("a/token+"), 60), ("ExpiredTokenException", over));
}

#[test]
fn a_payload_that_is_not_signed_is_refused() {
    for unsigned in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        let headers = [("x-amz-content-sha256", unsigned)];
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let mut head = Signing { settings, ..Signing::default() }.sign("POST", PATH, &headers, b"{}");
        // With the word in the place of the hash, as S3 would have it, signed correctly.
        let claim = Claim::of(&head).unwrap();
        let request = canonical::request(&head, &claim.signed_headers, false, unsigned);
        let key = authenticator();
        let key = key.credentials.find("ALICE").unwrap().signing_key("20270115", "us-east-1");
        let to_sign = canonical::string_to_sign(&claim.date.text, &claim.scope, &request);
        let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
        let authorization =
            head.headers["authorization"].to_str().unwrap().replace(&claim.signature, &signature);
        head.headers.insert("authorization", authorization.parse().unwrap());
        assert_eq!(refused(&head, b"{}", 0), mismatch());
    }
}

#[test]
fn the_strings_of_a_mismatch_are_what_should_have_been_signed() {
    let head = Signing { secret: "wrong", ..Signing::default() }.sign("GET", "/a%20b?c=d", &[], b"");
    let refusal = verify(&authenticator(), &head, b"", 0).unwrap_err().to_string();
    let strings = "\n\nThe Canonical String for this request should have been\n'GET\n/a%2520b\nc=d\n\
                   host:127.0.0.1:9000\nx-amz-date:20270115T080000Z\n\nhost;x-amz-date\n\
                   e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'\n\n\
                   The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20270115T080000Z\n\
                   20270115/us-east-1/lambda/aws4_request\n";
    assert!(refusal.contains(strings), "{refusal}");
}

#[test]
fn the_same_request_is_accepted_once_unless_it_only_reads() {
    let authenticator = authenticator();
    let invoke = Signing::default().invoke();
    assert!(verify(&authenticator, &invoke, b"{}", 0).is_ok());
    let replayed = verify(&authenticator, &invoke, b"{}", 1).unwrap_err();
    assert_eq!((replayed.class(), &replayed), (INVALID, &Refusal::Replayed));
    // A retry of an SDK within the same second.
    let mut retry = invoke;
    retry.headers.insert("amz-sdk-invocation-id", HeaderValue::from_static("6cf133c6"));
    retry.headers.insert("amz-sdk-request", HeaderValue::from_static("attempt=2; max=3"));
    assert!(verify(&authenticator, &retry, b"{}", 1).is_ok());
    assert_eq!(verify(&authenticator, &retry, b"{}", 1), Err(Refusal::Replayed));
    assert!(verify(&authenticator, &Signing { seconds: 1, ..Signing::default() }.invoke(), b"{}", 1).is_ok());
    let list = Signing::default().sign("GET", "/2015-03-31/functions", &[], b"");
    for _ in 0..2 {
        assert!(verify(&authenticator, &list, b"", 1).is_ok());
    }
}

#[test]
fn a_door_may_accept_what_it_has_seen() {
    let credentials = Arc::new(Credentials::parse(FILE).unwrap());
    let authenticator = Authenticator::new(credentials, "us-east-1", Replay::Accepted);
    for _ in 0..2 {
        assert!(verify(&authenticator, &Signing::default().invoke(), b"{}", 0).is_ok());
    }
}

#[test]
fn a_refused_request_is_not_remembered() {
    let authenticator = authenticator();
    let head = Signing::default().invoke();
    assert!(verify(&authenticator, &head, b"tampered", 0).is_err());
    assert!(verify(&authenticator, &head, b"{}", 0).is_ok());
}

/// Paths, queries and headers as clients may send them.
fn requests() -> impl Strategy<Value = (String, String, Vec<(String, String)>, Vec<u8>)> {
    let segment =
        prop_oneof!["[a-zA-Z0-9_.~-]{0,8}", "(%[2-7][0-9A-F]|[a-z:$@!*'(),;=+]){0,8}", Just("..".to_owned())];
    let path =
        proptest::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")));
    let query = prop_oneof![Just(String::new()), "\\?([a-zA-Z0-9%2B+._~=&-]|%[2-7][0-9A-F]){0,24}"];
    let name = "x-[a-z]{1,6}".prop_filter("made by the signer", |name| !name.starts_with("x-amz"));
    let headers = proptest::collection::vec((name, "[!-~]{1,5}( {0,3}[!-~]{1,5}){0,3}"), 0..4);
    (path, query, headers, proptest::collection::vec(any::<u8>(), 0..64))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the SDK's signer signs is accepted, and is not when the least of it is changed.
    #[test]
    fn signatures_of_the_sdk_are_verified((path, query, headers, body) in requests(), presigned: bool, change in 0_u8..6) {
        let target = format!("{path}{query}");
        prop_assume!(target.parse::<Uri>().is_ok());
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let signing = Signing { expires: presigned.then_some(60), ..Signing::default() };
        let mut head = signing.sign("PUT", &target, &headers, &body);
        let accepted = verify(&authenticator(), &head, &body, 0);
        prop_assert!(accepted.is_ok(), "{}", accepted.unwrap_err());

        let mut body = body;
        let uri = head.uri.to_string();
        match change {
            0 => body.push(b' '),
            1 => head.method = Method::POST,
            2 => head.headers.insert("host", HeaderValue::from_static("127.0.0.1:9001")).map_or((), drop),
            // At the end, where no `..` takes it back.
            3 => head.uri = format!("{}x?{}", head.uri.path(), head.uri.query().unwrap_or("")).parse().unwrap(),
            4 => head.uri = format!("{uri}{}added=1", if uri.contains('?') { "&" } else { "?" }).parse().unwrap(),
            _ => {
                let Some((name, _)) = headers.first() else { return Ok(()) };
                head.headers.append(name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static("more"));
            }
        }
        prop_assert_eq!(refused(&head, &body, 0), mismatch());
    }
}
