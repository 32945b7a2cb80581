//! How a registry is shown who asks.
//!
//! ```text
//! request ─► 401, WWW-Authenticate: Basic ───────────────────────► request with name and password
//!                                   Bearer realm, service ─► token server ─► request with a token
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::parser::ChallengeParser;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::RegistryError;
use super::credentials::Login;
use super::endpoint::may_lead_to;
use super::http::{Http, shown_url};

/// Those of some registries have a few thousand.
const TOKEN_BYTES: u64 = 256 * 1024;

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The best of those in `headers`.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut found = None;
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = header.to_str() else { continue };
            for challenge in ChallengeParser::new(text).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    return Some(Challenge::Bearer { realm, service: parameter("service") });
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    found = Some(Challenge::Basic);
                }
            }
        }
        found
    }

    /// What is sent with requests for `repository` from now on. `url` is what was asked for.
    pub(super) async fn answer(
        &self,
        http: &Http,
        url: &Url,
        repository: &str,
        login: Option<&Login>,
    ) -> Result<HeaderValue, RegistryError> {
        let malformed = |problem| RegistryError::Malformed { url: shown_url(url), problem };
        let text = match (self, login) {
            (Challenge::Basic, Some(Login::Password { username, password })) => basic(username, password),
            (Challenge::Basic, _) => {
                let message = "it wants a name and a password".to_owned();
                return Err(RegistryError::Denied { url: shown_url(url), who: who(login), message });
            }
            (Challenge::Bearer { realm, service }, login) => {
                let realm = Url::parse(realm).map_err(|_| malformed("a token server that is none"))?;
                if !may_lead_to(url, &realm) {
                    return Err(malformed("a token server without TLS"));
                }
                let scope = format!("repository:{repository}:pull");
                let token = token(http, realm, service.as_deref(), &scope, login).await?;
                format!("Bearer {token}")
            }
        };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| malformed("credentials that cannot be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// For errors.
pub(super) fn who(login: Option<&Login>) -> String {
    match login {
        Some(Login::Password { username, .. }) => format!("`{}`", username.escape_debug()),
        Some(Login::IdentityToken(_)) => "the holder of the identity token".to_owned(),
        None => "everybody, and there are no credentials".to_owned(),
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

async fn token(
    http: &Http,
    mut realm: Url,
    service: Option<&str>,
    scope: &str,
    login: Option<&Login>,
) -> Result<String, RegistryError> {
    let response = if let Some(Login::IdentityToken(identity)) = login {
        http.post(realm.clone(), refresh_form(identity, service, scope)).await?
    } else {
        if let Some(service) = service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        realm.query_pairs_mut().append_pair("scope", scope);
        let authorization = match login {
            Some(Login::Password { username, password }) => {
                let malformed = |_| RegistryError::Malformed {
                    url: shown_url(&realm),
                    problem: "a wish for credentials that cannot be sent",
                };
                Some(HeaderValue::from_str(&basic(username, password)).map_err(malformed)?)
            }
            _ => None,
        };
        http.get(realm.clone(), &HeaderMap::new(), authorization.as_ref()).await?
    };
    if !response.status().is_success() {
        return Err(http.refusal(response, &who(login)).await);
    }
    let document = http.document(response, TOKEN_BYTES).await?;
    let token: Option<Token> = serde_json::from_slice(&document).ok();
    token
        .and_then(|token| token.token.or(token.access_token))
        .filter(|token| !token.is_empty())
        .ok_or_else(|| RegistryError::Malformed { url: shown_url(&realm), problem: "no token" })
}

fn refresh_form(identity: &str, service: Option<&str>, scope: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", identity);
    form.append_pair("client_id", "firesteel").append_pair("scope", scope);
    if let Some(service) = service {
        form.append_pair("service", service);
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn tokens_are_preferred() {
        let bearer =
            Some(Challenge::Bearer { realm: "https://a/t".to_owned(), service: Some("s, \"t".to_owned()) });
        assert_eq!(of(&[r#"Bearer realm="https://a/t",service="s, \"t",scope="x""#]), bearer);
        assert_eq!(of(&["Basic realm=x", r#"bearer service="s, \"t", realm="https://a/t""#]), bearer);
        assert_eq!(of(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        for text in ["", "Digest realm=x", "Bearer", "Bearer service=x", "\"", "Bearer realm=\"x"] {
            assert_eq!(of(&[text]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_a_challenge_or_none(text in "(Bearer |Basic |)[ -~]{0,40}") {
            of(&[&text]);
        }
    }
}
