//! What browsers of other origins are told.

use firesteel_catalog::{AuthType, Cors, UrlSettings};
use libtest_mimic::Trial;

use crate::client::Request;
use crate::fixture::{Server, host, settings};

const ORIGIN: &str = "https://a.example";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("a_preflight_does_not_reach_the_function", a_preflight_does_not_reach_the_function),
        crate::test(
            "an_answer_has_the_headers_of_the_configuration",
            an_answer_has_the_headers_of_the_configuration,
        ),
        crate::test("a_refusal_has_them_too", a_refusal_has_them_too),
        crate::test(
            "without_a_configuration_all_is_the_functions",
            without_a_configuration_all_is_the_functions,
        ),
    ]
}

fn with_cors(auth_type: AuthType) -> UrlSettings {
    let cors = Cors {
        allow_credentials: Some(true),
        allow_headers: vec!["x-a".into(), "x-b".into()],
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_origins: vec![ORIGIN.into()],
        expose_headers: vec!["date".into()],
        max_age_s: Some(60),
    };
    UrlSettings { cors: Some(cors), ..settings(auth_type) }
}

fn preflight(host: &str) -> Request {
    Request::get(host, "/fail").method("OPTIONS").header("access-control-request-method", "PUT")
}

async fn a_preflight_does_not_reach_the_function() {
    let server = Server::start().await;
    let function = server.function("f");
    // Neither signed nor allowed by any policy, as those of browsers are.
    let host = host(&server.url(&function, with_cors(AuthType::AwsIam)));
    let reply = preflight(&host).header("origin", ORIGIN).send(server.address).await;
    reply.is(200, "");
    assert_eq!(
        (reply.header("vary"), reply.header("x-amzn-requestid").map(str::len)),
        (Some("Origin"), Some(36))
    );
    assert_eq!(
        reply.cors(),
        [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: x-a,x-b",
            "access-control-allow-methods: GET,PUT",
            "access-control-allow-origin: https://a.example",
            "access-control-max-age: 60",
        ]
    );
    let reply = preflight(&host).header("origin", "https://b.example").send(server.address).await;
    reply.is(200, "");
    assert!(reply.cors().is_empty());
    // Not of a browser.
    preflight(&host).send(server.address).await.is_forbidden();
    server.close().await;
}

async fn an_answer_has_the_headers_of_the_configuration() {
    let server = Server::start().await;
    let host = server.public("f", with_cors(AuthType::None));
    let body =
        r#"{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"*","Access-Control-Max-Age":"5"}}"#;
    let request = Request::get(&host, "/").post(body);
    let told = [
        "access-control-allow-credentials: true",
        "access-control-allow-origin: https://a.example",
        "access-control-expose-headers: date",
        "access-control-max-age: 5",
    ];
    let functions = ["access-control-allow-origin: *", "access-control-max-age: 5"];
    for (origin, expected) in
        [(Some(ORIGIN), &told[..]), (Some("https://b.example"), &functions), (None, &functions)]
    {
        let request = origin.iter().fold(request.clone(), |request, origin| request.header("origin", origin));
        assert_eq!(request.send(server.address).await.cors(), expected, "{origin:?}");
    }
    server.close().await;
}

async fn a_refusal_has_them_too() {
    let server = Server::start().await;
    let host = server.public("f", with_cors(AuthType::None));
    let reply = Request::get(&host, "/fail").header("origin", ORIGIN).send(server.address).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (502, Some(ORIGIN)));
    server.store.remove_permission(&crate::fixture::reference("f"), "urlPermission", None).unwrap();
    let reply = Request::get(&host, "/").header("origin", ORIGIN).send(server.address).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (403, Some(ORIGIN)));
    server.close().await;
}

async fn without_a_configuration_all_is_the_functions() {
    let server = Server::start().await;
    let host = server.public("f", settings(AuthType::None));
    let event = Request::get(&host, "/")
        .method("OPTIONS")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "PUT")
        .send(server.address)
        .await;
    assert!(event.cors().is_empty() && event.header("vary").is_none());
    assert_eq!(event.event()["requestContext"]["http"]["method"], "OPTIONS");
    server.close().await;
}
