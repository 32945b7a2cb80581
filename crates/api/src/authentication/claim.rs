//! What a request says of its own signature: key, scope, date, headers.
//!
//! | part | in the `Authorization` header | in the query (presigned) |
//! |---|---|---|
//! | algorithm | its first word | `X-Amz-Algorithm` |
//! | key and scope | `Credential=` | `X-Amz-Credential` |
//! | headers | `SignedHeaders=` | `X-Amz-SignedHeaders` |
//! | signature | `Signature=` | `X-Amz-Signature` |
//! | date | header `X-Amz-Date` or `Date` | `X-Amz-Date`, `X-Amz-Expires` |
//! | session | header `X-Amz-Security-Token` | `X-Amz-Security-Token` |
//!
//! Nothing of it is believed yet. The texts of what is refused are AWS's.

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use http::request::Parts;
use jiff::Timestamp;

use super::date::SigningDate;
use super::refusal::Refusal;
use super::{SERVICE, SKEW_SECONDS};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// The longest that a presigned URL may be good for: a week, as AWS's signers allow.
const EXPIRES_LIMIT_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The one header of its kind that some SDKs add or change after they have signed. Nothing depends on it.
const MAY_BE_UNSIGNED: &str = "x-amz-user-agent";

#[derive(Debug)]
pub(super) struct Claim {
    pub(super) access_key_id: String,
    /// `YYYYMMDD` of the scope.
    pub(super) scope_date: String,
    /// `date/region/service/aws4_request`
    pub(super) scope: String,
    pub(super) date: SigningDate,
    /// How long a presigned URL is good for.
    pub(super) expires_seconds: Option<i64>,
    /// Lower-case names with `;` between them, as they are signed.
    pub(super) signed_headers: String,
    pub(super) signature: String,
    pub(super) token: Option<String>,
    pub(super) presigned: bool,
}

impl Claim {
    pub(super) fn of(head: &Parts) -> Result<Self, Refusal> {
        let mut authorizations = head.headers.get_all(AUTHORIZATION).iter();
        if let Some(authorization) = authorizations.next() {
            let text = String::from_utf8_lossy(authorization.as_bytes());
            if authorizations.next().is_some() {
                let complaint = "There is more than one 'Authorization' header. ";
                return Err(Refusal::incomplete_header(complaint, &text));
            }
            return Self::of_header(&text, &head.headers);
        }
        let query = head.uri.query().unwrap_or_default();
        if query.contains("X-Amz-Algorithm=") { Self::of_query(query) } else { Err(Refusal::MissingToken) }
    }

    fn of_header(authorization: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let (algorithm, parameters) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let is_aws = algorithm.starts_with("AWS4-");
        let parameters = if is_aws { parameters } else { "" };
        let (mut credential, mut signed_headers, mut signature) = ("", None, "");
        for parameter in parameters.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("Credential", value)) => credential = value,
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = value,
                Some(_) => {}
                None => {
                    let complaint = format!(
                        "'{parameter}' not a valid key=value pair (missing equal-sign) in Authorization header. "
                    );
                    return Err(Refusal::incomplete_header(&complaint, authorization));
                }
            }
        }
        let date = text(headers, "x-amz-date").map(|text| (text, SigningDate::basic(text)));
        let date = date.or_else(|| {
            let date = headers.get(DATE)?.to_str().ok()?;
            Some((date, SigningDate::of_date_header(date)))
        });
        let mut complaints = String::new();
        for (name, missing) in [
            ("Credential", credential.is_empty()),
            ("Signature", signature.is_empty()),
            ("SignedHeaders", signed_headers.is_none()),
        ] {
            if missing {
                complaints += &format!("Authorization header requires '{name}' parameter. ");
            }
        }
        if date.is_none() {
            complaints +=
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        }
        let Some(date) = date.filter(|_| complaints.is_empty()) else {
            return Err(Refusal::incomplete_header(&complaints, authorization));
        };
        let token = text(headers, "x-amz-security-token").map(str::to_owned);
        let signed_headers = signed_headers.unwrap_or_default();
        Self::assembled(algorithm, credential, date, None, signed_headers, signature, token, false)
    }

    fn of_query(query: &str) -> Result<Self, Refusal> {
        let (mut algorithm, mut credential, mut signed_headers, mut signature) = (None, None, None, None);
        let (mut date, mut expires, mut token) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "X-Amz-Algorithm" => &mut algorithm,
                "X-Amz-Credential" => &mut credential,
                "X-Amz-SignedHeaders" => &mut signed_headers,
                "X-Amz-Signature" => &mut signature,
                "X-Amz-Date" => &mut date,
                "X-Amz-Expires" => &mut expires,
                "X-Amz-Security-Token" => &mut token,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Refusal::Incomplete(format!(
                    "AWS query-string parameter '{name}' is given more than once. {REEXAMINE}"
                )));
            }
        }
        let mut complaints = String::new();
        for (name, value) in [
            ("X-Amz-Algorithm", &algorithm),
            ("X-Amz-Credential", &credential),
            ("X-Amz-SignedHeaders", &signed_headers),
            ("X-Amz-Signature", &signature),
            ("X-Amz-Date", &date),
        ] {
            if value.as_deref().is_none_or(str::is_empty) {
                complaints += &format!("AWS query-string parameters must include '{name}'. ");
            }
        }
        let (Some(algorithm), Some(credential), Some(signed_headers), Some(signature), Some(date), true) =
            (algorithm, credential, signed_headers, signature, date, complaints.is_empty())
        else {
            return Err(Refusal::Incomplete(complaints + REEXAMINE));
        };
        let expires_seconds = match expires {
            None => SKEW_SECONDS,
            Some(text) => match text.parse::<i64>() {
                Ok(seconds) if (1..=EXPIRES_LIMIT_SECONDS).contains(&seconds) => seconds,
                _ => {
                    return Err(Refusal::Incomplete(format!(
                        "'X-Amz-Expires' must be a number of seconds from 1 to {EXPIRES_LIMIT_SECONDS}, got '{text}'. \
                         {REEXAMINE}"
                    )));
                }
            },
        };
        let date = (date.as_str(), SigningDate::basic(&date));
        let expires = Some(expires_seconds);
        Self::assembled(&algorithm, &credential, date, expires, &signed_headers, &signature, token, true)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a signature, wherever they were written")]
    fn assembled(
        algorithm: &str,
        credential: &str,
        (date_text, date): (&str, Option<SigningDate>),
        expires_seconds: Option<i64>,
        signed_headers: &str,
        signature: &str,
        token: Option<String>,
        presigned: bool,
    ) -> Result<Self, Refusal> {
        let Some(date) = date else {
            return Err(Refusal::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{date_text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            )));
        };
        if algorithm != ALGORITHM {
            return Err(Refusal::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). "
            )));
        }
        let elements: Vec<_> = credential.split('/').collect();
        let [access_key_id, scope_date, _, _, _] = elements[..] else {
            return Err(Refusal::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{credential}'"
            )));
        };
        Ok(Claim {
            access_key_id: access_key_id.to_owned(),
            scope_date: scope_date.to_owned(),
            scope: credential[access_key_id.len() + 1..].to_owned(),
            date,
            expires_seconds,
            signed_headers: signed_headers.to_owned(),
            signature: signature.to_owned(),
            token,
            presigned,
        })
    }

    /// The date is neither too long ago nor still to come.
    pub(super) fn check_date(&self, now: Timestamp) -> Result<(), Refusal> {
        let (date, now) = (&self.date, now.as_second());
        let good_for = self.expires_seconds.unwrap_or(SKEW_SECONDS);
        let spelled = SigningDate::spelled;
        if date.seconds < now - good_for {
            return Err(expired(date, now, good_for));
        }
        if date.seconds > now + SKEW_SECONDS {
            return Err(Refusal::Misplaced(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                date.text,
                spelled(now + SKEW_SECONDS),
                spelled(now)
            )));
        }
        Ok(())
    }

    /// The host is signed, without which the request could be sent to another server, and so is every header by which
    /// the service is steered, without which a stranger could steer it.
    pub(super) fn check_signed_headers(&self, head: &Parts) -> Result<(), Refusal> {
        let signed = |name: &str| self.signed_headers.split(';').any(|signed| signed == name);
        if !signed("host") && !signed(":authority") {
            return Err(Refusal::Misplaced(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        let steering = |name: &&str| name.starts_with("x-amz-") && *name != MAY_BE_UNSIGNED;
        let mut names = head.headers.keys().map(http::HeaderName::as_str).filter(steering);
        match names.find(|name| !signed(name)) {
            None => Ok(()),
            Some(name) => Err(Refusal::Misplaced(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            ))),
        }
    }

    /// The signature is for this service, in this region, of that day. All that is wrong is said at once.
    pub(super) fn check_scope(&self, expected_region: &str) -> Result<(), Refusal> {
        let mut elements = self.scope.split('/').skip(1);
        let mut next = || elements.next().unwrap_or_default();
        let (region, service, terminator) = (next(), next(), next());
        let mut complaints = Vec::new();
        if region != expected_region {
            complaints.push(format!("Credential should be scoped to a valid region, not '{region}'. "));
        }
        if service != SERVICE {
            complaints.push(format!("Credential should be scoped to correct service: '{SERVICE}'. "));
        }
        if terminator != TERMINATOR {
            complaints.push(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. "
            ));
        }
        if self.scope_date != self.date.day() {
            complaints.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', \
                 from '{}'.",
                self.scope_date,
                self.date.day(),
                self.date.text
            ));
        }
        if complaints.is_empty() { Ok(()) } else { Err(Refusal::Misplaced(complaints.concat())) }
    }
}

const REEXAMINE: &str = "Re-examine the query-string parameters.";

/// The refusal of what was signed more than `good_for` seconds before `now`.
pub(super) fn expired(date: &SigningDate, now: i64, good_for: i64) -> Refusal {
    let span =
        if good_for % 60 == 0 { format!("{} min.", good_for / 60) } else { format!("{good_for} sec.") };
    Refusal::Misplaced(format!(
        "Signature expired: {} is now earlier than {} ({} - {span})",
        date.text,
        SigningDate::spelled(now - good_for),
        SigningDate::spelled(now)
    ))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
