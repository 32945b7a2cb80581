//! What only environments with SnapStart have: restores and the credentials endpoint.

use firesteel_runtime_api::{Call, Credentials, Refusal, Surface};

use crate::harness::{ACCEPTED, BASE, Environment};

fn surface() -> Surface {
    let credentials = Credentials {
        authorization_token: "t0ken".into(),
        access_key_id: "ASIAEXAMPLE".into(),
        secret_access_key: "a/b+c".into(),
        session_token: "<s&".into(),
        expiration: "2026-11-21T20:00:00Z".into(),
    };
    Surface { snap_start: true, credentials: Some(credentials) }
}

#[tokio::test]
async fn a_restore_is_an_empty_answer_once_it_has_happened() {
    let mut environment = Environment::with_surface(surface()).await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/restore/next")).await;
    let Call::RestoreNext { reply } = environment.call().await else { panic!("no restore") };
    reply.send(Ok(())).unwrap();
    let answer = guest.answer().await;
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(answer.header_lines(), ["Content-Length: 0"]);

    let refusal = Refusal::Transition { from: "Ready", to: "RestoreReady" };
    guest.get(&format!("{BASE}/restore/next")).await;
    let Call::RestoreNext { reply } = environment.call().await else { panic!("no restore") };
    reply.send(Err(refusal)).unwrap();
    let answer = guest.answer().await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("from Ready to RestoreReady failed for runtime"), "{}", answer.body);
}

#[tokio::test]
async fn a_failed_restore_is_reported() {
    let mut environment = Environment::with_surface(surface()).await;
    let mut guest = environment.guest().await;
    let headers = "Lambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\r\n";
    let body = r#"{"errorMessage":"hook"}"#;
    guest.post(&format!("{BASE}/restore/error"), headers, body).await;
    let Call::RestoreError { report, reply } = environment.call().await else { panic!("no report") };
    assert_eq!(report.error_type, "Runtime.AfterRestoreError");
    assert_eq!((report.body.as_ref(), report.content_type.as_str()), (body.as_bytes(), "application/json"));
    reply.send(Ok(())).unwrap();
    let answer = guest.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ACCEPTED));

    guest.post(&format!("{BASE}/restore/error"), "", "").await;
    let Call::RestoreError { report, reply } = environment.call().await else { panic!("no report") };
    assert_eq!(report.error_type, "Runtime.Unknown");
    drop(reply);
    let answer = guest.answer().await;
    assert!(answer.status == 500 && answer.closes(), "{answer:?}");
}

#[tokio::test]
async fn restores_have_a_method_each() {
    let environment = Environment::with_surface(surface()).await;
    let mut guest = environment.guest().await;
    for (method, path, allow) in [
        ("POST", "/2018-06-01/runtime/restore/next", "GET"),
        ("GET", "/2018-06-01/runtime/restore/error", "POST"),
        ("PUT", "/2021-04-23/credentials", "GET"),
    ] {
        guest.request(method, path, "", "").await;
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.header("Allow")), (405, Some(allow)), "for {path}");
    }
}

#[tokio::test]
async fn credentials_are_given_for_the_token_and_for_nothing_else() {
    let environment = Environment::with_surface(surface()).await;
    let mut guest = environment.guest().await;
    for authorization in ["Authorization: t0ken\r\n", "authorization: t0ken\r\n"] {
        guest.request("GET", "/2021-04-23/credentials", authorization, "").await;
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/json")));
        assert_eq!(
            answer.body,
            "{\"AccessKeyId\":\"ASIAEXAMPLE\",\"SecretAccessKey\":\"a/b+c\",\
             \"Token\":\"\\u003cs\\u0026\",\"Expiration\":\"2026-11-21T20:00:00Z\"}\n"
        );
    }
    for authorization in [
        "",
        "Authorization:\r\n",
        "Authorization: Bearer t0ken\r\n",
        "Authorization: t0keN\r\n",
        "Authorization: t0ke\r\n",
        "Authorization: \u{e9}\r\n",
    ] {
        guest.request("GET", "/2021-04-23/credentials", authorization, "").await;
        let answer = guest.answer().await;
        assert_eq!(answer.status, 404, "for {authorization:?}");
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.body, "cannot get credentials for the provided token\n");
    }
}

#[test]
fn no_log_has_the_secrets() {
    let shown = format!("{:?}", surface());
    assert!(shown.contains("ASIAEXAMPLE"), "{shown}");
    for secret in ["t0ken", "a/b+c", "<s&"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
