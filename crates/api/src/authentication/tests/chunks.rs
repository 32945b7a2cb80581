//! The published example of S3's documentation: 65 kB of `a` in two chunks.

use super::*;

const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";
const PLAIN: [&str; 4] = [
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];
const WITH_TRAILER: [&str; 4] = [
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\
                       d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

fn body(signatures: [&str; 4], trailer: &str) -> String {
    let [_, first, second, last] = signatures;
    let (long, short) = ("a".repeat(65536), "a".repeat(1024));
    format!(
        "10000;chunk-signature={first}\r\n{long}\r\n400;chunk-signature={second}\r\n{short}\r\n\
         0;chunk-signature={last}\r\n{trailer}\r\n"
    )
}

fn decoded(form: Chunks, seed: &str, body: &str, length: &str) -> Result<usize, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(form.name()));
    headers.insert("x-amz-decoded-content-length", length.parse().unwrap());
    let (mut head, ()) = Request::new(()).into_parts();
    head.headers = headers;
    assert_eq!(Chunks::announced(&head), Some(form));
    let claim = Claim {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        scope_date: "20130524".into(),
        scope: SCOPE.into(),
        date: date::SigningDate::basic("20130524T000000Z").unwrap(),
        expires_seconds: None,
        signed_headers: String::new(),
        signature: seed.into(),
        token: None,
        presigned: false,
    };
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    for part in SCOPE.split('/') {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    let decoded = form.verified(body.as_bytes(), &head, &claim, &key)?;
    assert!(decoded.iter().all(|byte| *byte == b'a'));
    Ok(decoded.len())
}

#[test]
fn the_published_examples_are_accepted() {
    assert_eq!(decoded(Chunks::Plain, PLAIN[0], &body(PLAIN, ""), "66560"), Ok(66560));
    let with_trailer = body(WITH_TRAILER, TRAILER);
    assert_eq!(decoded(Chunks::WithTrailer, WITH_TRAILER[0], &with_trailer, "66560"), Ok(66560));
}

#[test]
fn a_chain_that_is_changed_anywhere_is_refused() {
    let whole = body(WITH_TRAILER, TRAILER);
    let with = |from: &str, to: &str| {
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, whole);
        decoded(Chunks::WithTrailer, WITH_TRAILER[0], &changed, "66560").unwrap_err().to_string()
    };
    let not_signed = Refusal::Chunk("a chunk is not what was signed").to_string();
    assert_eq!(with("aaaa\r\n400", "aaab\r\n400"), not_signed);
    assert_eq!(with("\r\n400;", "\r\n3ff;"), not_signed);
    assert_eq!(with("sOO8", "sOO9"), not_signed);
    assert_eq!(with("2ca2aba", "2ca2abb"), not_signed);
    let malformed = Refusal::Chunk("the body is not made of chunks").to_string();
    assert_eq!(with("10000;", "+10000;"), malformed);
    assert_eq!(with("10000;chunk-signature", "10000;other"), malformed);
    assert_eq!(
        decoded(Chunks::WithTrailer, WITH_TRAILER[0], &format!("{whole}more"), "66560"),
        Err(Refusal::Chunk("the body is not made of chunks"))
    );
    assert!(decoded(Chunks::WithTrailer, PLAIN[0], &whole, "66560").is_err(), "another request's chunks");
    assert!(decoded(Chunks::WithTrailer, WITH_TRAILER[0], &whole, "66561").is_err());
    // Without its second chunk.
    let second = whole.find("400;").unwrap();
    let last = whole.find("\r\n0;").unwrap() + 2;
    let shorter = format!("{}{}", &whole[..second], &whole[last..]);
    assert_eq!(
        decoded(Chunks::WithTrailer, WITH_TRAILER[0], &shorter, "65536").unwrap_err().to_string(),
        not_signed
    );
}

#[test]
fn a_body_that_is_cut_short_anywhere_is_refused() {
    let whole = body(WITH_TRAILER, TRAILER);
    let interesting = (0..200).chain((65500..66000).step_by(9)).chain((66500..whole.len()).step_by(9));
    for end in interesting.filter(|end| *end < whole.len()) {
        assert!(decoded(Chunks::WithTrailer, WITH_TRAILER[0], &whole[..end], "66560").is_err(), "{end}");
    }
}

#[test]
fn announced_chunks_are_what_the_head_signs() {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    let headers = [("x-amz-content-sha256", Chunks::Plain.name()), ("x-amz-decoded-content-length", "0")];
    let head = Signing { settings, ..Signing::default() }.sign("POST", PATH, &headers, b"");
    // The signer signed the hash of nothing; the server expects the word in its place.
    let refusal = verify(&authenticator(), &head, b"", 0).unwrap_err();
    assert!(
        matches!(refusal, Refusal::Mismatch { ref request, .. } if request.ends_with("-PAYLOAD")),
        "{refusal}"
    );
}
