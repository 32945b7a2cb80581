//! Which store is spoken to, and as whom.

use std::fmt;

use object_store::aws::AmazonS3Builder;

/// How an S3 store is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// For instance `http://127.0.0.1:9000`; AWS's own of the region if `None`. Without TLS only where it says `http`.
    pub endpoint: Option<String>,
    /// Requests are signed for it.
    pub region: String,
    /// Requests are not signed if `None`, which is enough for what is public.
    pub credentials: Option<S3Credentials>,
    /// The bucket goes into the path, as most local stores want it, instead of into the host's name.
    pub path_style: bool,
}

impl S3Settings {
    /// Where requests for `bucket` go.
    pub(super) fn bucket_endpoint(&self, bucket: &str) -> String {
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        };
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => format!("{scheme}://{bucket}.{host}"),
            _ => format!("{endpoint}/{bucket}"),
        }
    }

    /// What any client of one bucket begins with. `endpoint` has the bucket in it.
    pub(super) fn client(&self, bucket: &str, endpoint: String) -> AmazonS3Builder {
        // To the builder, an endpoint that has the bucket in it already is one of the virtual-hosted style.
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(true)
            .with_region(&self.region);
        let Some(credentials) = &self.credentials else { return builder.with_skip_signature(true) };
        let builder = builder
            .with_access_key_id(&credentials.access_key_id)
            .with_secret_access_key(&credentials.secret_access_key);
        match &credentials.session_token {
            Some(token) => builder.with_token(token),
            None => builder,
        }
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Names the credentials.
    pub access_key_id: String,
    /// Never shown.
    pub secret_access_key: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

/// Without the secrets.
impl fmt::Debug for S3Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("S3Credentials");
        shown.field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: Option<&str>, path_style: bool) -> S3Settings {
        let credentials = Some(S3Credentials {
            access_key_id: "AKIA".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
        });
        S3Settings {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-west-1".to_owned(),
            credentials,
            path_style,
        }
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host() {
        for (endpoint, path_style, expected) in [
            (None, false, "https://code.s3.eu-west-1.amazonaws.com"),
            (None, true, "https://s3.eu-west-1.amazonaws.com/code"),
            (Some("http://localhost:9000/"), true, "http://localhost:9000/code"),
            (Some("http://localhost:9000"), false, "http://code.localhost:9000"),
        ] {
            assert_eq!(settings(endpoint, path_style).bucket_endpoint("code"), expected);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", settings(None, false));
        assert!(shown.contains("AKIA") && !shown.contains("secret\"") && !shown.contains("token"), "{shown}");
    }
}
