//! `--credentials` and `--tls-certificate`: who may call, and over what.

use serde_json::{Value, json};

use crate::harness;
use crate::harness::function::{ECHO, Function};
use crate::harness::program::{Program, Run};
use crate::harness::server::{Server, invocations};
use crate::harness::signing::{CredentialsFile, Signer};

/// May do everything.
const ROOT: Signer = Signer { key: "AKIDROOT", secret: "the/roots+secret" };
/// May invoke `f` and nothing else.
const CALLER: Signer = Signer { key: "AKIDCALLER", secret: "the-callers-secret" };

fn credentials() -> CredentialsFile {
    let account = "arn:aws:iam::000000000000";
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:Invoke*",
        "Resource": "arn:aws:lambda:*:*:function:f"}]});
    let credentials = json!({"Credentials": [
        {"AccessKeyId": ROOT.key, "SecretAccessKey": ROOT.secret, "Arn": format!("{account}:root")},
        {"AccessKeyId": CALLER.key, "SecretAccessKey": CALLER.secret, "Arn": format!("{account}:user/caller"), "Policy": policy},
    ]});
    CredentialsFile::of(credentials.to_string())
}

/// A server that asks who calls, with `f`.
fn server() -> (Server, CredentialsFile) {
    let credentials = credentials();
    (Server::of(&Function::scripted(ECHO), &["--credentials", &credentials.path()]), credentials)
}

/// A command of a client that signs.
#[track_caller]
fn ask(signer: Signer, server: &Server, arguments: &[&str]) -> Run {
    let program = Program::asking(server, arguments);
    program.variable("AWS_ACCESS_KEY_ID", signer.key).variable("AWS_SECRET_ACCESS_KEY", signer.secret).run()
}

#[test]
fn who_does_not_sign_is_refused() {
    let (server, _credentials) = server();
    let missing = json!({"message": "Missing Authentication Token"});
    let reply = server.invoke("{}");
    reply.refused(403, "MissingAuthenticationTokenException", &missing);
    let list = server.call("GET", "/2015-03-31/functions", &Value::Null);
    list.refused(403, "MissingAuthenticationTokenException", &missing);
}

#[test]
fn who_signs_is_served_and_with_a_wrong_secret_is_not() {
    let (server, _credentials) = server();
    let invoke = |signer: Signer| signer.call(&server, "POST", &invocations("f"), &json!({"a": 1}));
    assert_eq!(invoke(ROOT).success(), "{\"a\":1}");
    let wrong = invoke(Signer { secret: "another", ..ROOT });
    assert_eq!((wrong.status, wrong.header("x-amzn-errortype")), (403, Some("InvalidSignatureException")));
    assert!(!wrong.text().contains(ROOT.secret));
    let unknown = invoke(Signer { key: "AKIDNOBODY", ..ROOT });
    assert_eq!(
        (unknown.status, unknown.header("x-amzn-errortype")),
        (403, Some("UnrecognizedClientException"))
    );
}

#[test]
fn a_signature_is_good_for_one_request() {
    let (server, _credentials) = server();
    let path = invocations("f");
    let headers = ROOT.headers("POST", &path, b"{}");
    let changed = Signer::send(&server, "POST", &path, &headers, b"{ }");
    assert_eq!(
        (changed.status, changed.header("x-amzn-errortype")),
        (403, Some("InvalidSignatureException"))
    );
    let elsewhere = Signer::send(&server, "POST", &invocations("g"), &headers, b"{}");
    assert_eq!(
        (elsewhere.status, elsewhere.header("x-amzn-errortype")),
        (403, Some("InvalidSignatureException"))
    );
    Signer::send(&server, "POST", &path, &headers, b"{}").success();
    let again = Signer::send(&server, "POST", &path, &headers, b"{}");
    assert_eq!((again.status, again.header("x-amzn-errortype")), (403, Some("InvalidSignatureException")));
}

#[test]
fn each_may_do_what_its_policy_allows() {
    let (server, _credentials) = server();
    CALLER.call(&server, "POST", &invocations("f"), &json!({})).success();
    let refused = CALLER.call(&server, "GET", "/2015-03-31/functions/f", &Value::Null);
    let message = "User: arn:aws:iam::000000000000:user/caller is not authorized to perform: lambda:GetFunction on resource: \
                   arn:aws:lambda:us-east-1:000000000000:function:f because no identity-based policy allows the lambda:GetFunction action";
    refused.refused(403, "AccessDeniedException", &json!({"Message": message}));
    let other = CALLER.call(&server, "POST", &invocations("g"), &json!({}));
    assert_eq!((other.status, other.header("x-amzn-errortype")), (403, Some("AccessDeniedException")));
    let root = ROOT.call(&server, "GET", "/2015-03-31/functions/f", &Value::Null);
    assert_eq!(root.json()["Configuration"]["FunctionName"], "f");
}

#[test]
fn the_program_signs_with_the_variables_of_the_aws_cli() {
    let (server, _credentials) = server();
    assert!(ask(ROOT, &server, &["functions"]).success().contains("\nf "));
    assert_eq!(ask(CALLER, &server, &["invoke", "f", "5"]).success(), "5\n");
    let function = Function::python("def lambda_handler(event, context): return event");
    let target = function.target();
    ask(ROOT, &server, &["deploy", &target, "--name", "an-other"]).success();
    ask(CALLER, &server, &["deploy", &target, "--name", "an-other"])
        .refused(2, &["AccessDeniedException", "try:"]);
    ask(ROOT, &server, &["delete", "an-other"]).success();
    let try_next = "try:   AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a credential of the server";
    Program::asking(&server, &["functions"])
        .run()
        .refused(2, &["MissingAuthenticationTokenException", try_next]);
    ask(Signer { secret: "x", ..ROOT }, &server, &["functions"])
        .refused(2, &["InvalidSignatureException", try_next]);
}

#[test]
fn a_file_of_credentials_that_cannot_be_relied_on_is_refused() {
    let good = credentials();
    let serve = |path: &str| Program::serve(&["--listen", "127.0.0.1:0", "--credentials", path]).run();
    for mode in [0o644, 0o640, 0o604] {
        good.chmod(mode);
        serve(&good.path())
            .refused(2, &[&format!("mode {mode:o}"), "try:   a file of mode 600", &good.path()]);
    }
    serve("/nowhere/at-all").refused(2, &["`/nowhere/at-all` cannot be read", "cause: ", "try:"]);
    for (content, words) in [
        ("", &["not in their form", "cause: "][..]),
        ("{}", &["not in their form", "Credentials"]),
        (r#"{"Credentials": []}"#, &["no credentials in the file"]),
        (
            r#"{"Credentials": [{"AccessKeyId": "A", "SecretAccessKey": "", "Arn": "arn:aws:iam::000000000000:root"}]}"#,
            &["secret of access key `A` is empty"],
        ),
        (
            r#"{"Credentials": [{"AccessKeyId": "A", "SecretAccessKey": "sesame", "Arn": "alice"}]}"#,
            &["`alice` of access key `A` is no ARN"],
        ),
        (
            r#"{"Credentials": [{"AccessKeyId": "A", "SecretAccessKey": "sesame", "Arn": "arn:aws:iam::000000000000:user/a",
                "Policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Action": "*", "Resource": "*"}]}}]}"#,
            &["policy of access key `A` is invalid", "cause: "],
        ),
    ] {
        let file = CredentialsFile::of(content);
        let run = serve(&file.path());
        run.refused(2, &[words, &["try:   a file of mode 600"]].concat());
        assert!(!run.stderr.contains("sesame"), "{}", run.stderr);
    }
}

#[test]
fn beyond_this_machine_it_listens_only_where_callers_sign() {
    let open = Program::serve(&["--listen", "0.0.0.0:0"]).run();
    open.refused(
        2,
        &["refusing to listen on 0.0.0.0:0: callers are not authenticated", "try:   --credentials FILE"],
    );
    let credentials = credentials();
    let server =
        Server::without_functions(&[], &["--listen", "0.0.0.0:0", "--credentials", &credentials.path()]);
    assert_eq!(server.call("GET", "/2015-03-31/functions", &Value::Null).status, 403);
    assert_eq!(
        ROOT.call(&server, "GET", "/2015-03-31/functions", &Value::Null).json()["Functions"],
        json!([])
    );
}

/// For the name `localhost`, signed by itself.
pub(crate) fn certificate(name: &str) -> String {
    format!("{}/../api/src/server/certificates/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let (trusted, key) = (certificate("first.pem"), certificate("first.key"));
    let credentials = credentials();
    let arguments = ["--tls-certificate", &trusted, "--tls-key", &key, "--credentials", &credentials.path()];
    let server = Server::of(&Function::scripted(ECHO), &arguments);
    server.logged("firesteel: https://127.0.0.1:");
    let url = format!("https://localhost:{}", server.address.port());
    let ask = |url: &str, trusts: &str, arguments: &[&str]| {
        Program::asking_at(url, arguments)
            .variable("SSL_CERT_FILE", trusts)
            .variable("AWS_ACCESS_KEY_ID", ROOT.key)
            .variable("AWS_SECRET_ACCESS_KEY", ROOT.secret)
            .run()
    };
    assert!(ask(&url, &trusted, &["functions"]).success().contains("\nf "));
    assert_eq!(ask(&url, &trusted, &["invoke", "f", "5"]).success(), "5\n");
    ask(&url, &certificate("second.pem"), &["functions"])
        .refused(3, &["could not be reached", "cause: ", "certificate"]);
    ask(&server.url(), &trusted, &["functions"]).refused(3, &["could not be reached"]);
}

#[test]
fn certificates_that_cannot_be_used_are_refused() {
    let folder = harness::folder();
    let nothing = folder.path().join("nothing.pem").to_str().unwrap().to_owned();
    std::fs::write(&nothing, "").unwrap();
    let serve = |certificate: &str, key: &str| {
        Program::serve(&["--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key]).run()
    };
    let try_next = "try:   --tls-certificate and --tls-key with PEM files that belong together";
    let (first, key) = (certificate("first.pem"), certificate("first.key"));
    serve(&first, &certificate("second.key")).refused(2, &["error: ", try_next]);
    serve(&nothing, &key).refused(2, &["nothing.pem", "no certificate", try_next]);
    serve("/nowhere/at-all", &key).refused(2, &["`/nowhere/at-all` cannot be read", try_next]);
    Program::serve(&["--tls-certificate", &first]).run().refused(2, &["--tls-key"]);
}
