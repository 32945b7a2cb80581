//! Images from a registry, on good days and on bad ones.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use firesteel_image::oci::{
    Credentials, Digest, LayerError, Login, Mirror, OciLimits, Platform, RegistryError, RegistrySettings,
    SourceError, WrongBytes,
};
use tempfile::TempDir;

use crate::packing::{Image, Packing, Recipe, tar_of};
use crate::registry::{Door, PASSWORD, Registry, Trouble, USER};
use crate::{Yard, chain, contents, noise, wait};

/// Impatient, so that what is never answered is known soon.
fn settings() -> RegistrySettings {
    RegistrySettings {
        attempts: 3,
        first_wait: Duration::from_millis(10),
        piece_within: Duration::from_millis(400),
        document_within: Duration::from_millis(800),
        connect_within: Duration::from_millis(400),
        longest_wait: Duration::from_secs(5),
        ..RegistrySettings::default()
    }
}

fn yard() -> Yard {
    Yard::over(OciLimits::default(), settings())
}

fn recipe() -> Recipe {
    Recipe::new(vec![
        (tar_of(&[("a", &noise(1, 2_000_000))]), Packing::Gzip),
        (tar_of(&[("b", b"small")]), Packing::Zstd),
    ])
}

fn tars() -> Vec<Vec<u8>> {
    recipe().layers.into_iter().map(|(tar, _)| tar).collect()
}

/// The path of the large layer.
fn layer_of(image: &Image) -> String {
    format!("/blobs/{}", image.manifest()["layers"][0]["digest"].as_str().unwrap())
}

/// Nothing is left of a download.
#[track_caller]
fn assert_clean(yard: &Yard) {
    assert_eq!((yard.names("blobs/sha256"), yard.names("incoming")), (Vec::new(), Vec::new()));
}

#[test]
fn by_tag_and_by_digest() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    let found = yard.fetch(&registry.reference("v1"));
    assert_eq!((found.digest.as_str(), contents(&found)), (image.digest(), tars()));
    assert_clean(&yard);
    let by_digest = format!("{}@{}", registry.reference("none"), image.digest());
    assert_eq!(yard.fetch(&by_digest).digest, image.digest());
    // What is there is not asked for again.
    assert_eq!(registry.seen(&layer_of(&image)).len(), 1);
    let error = yard.try_fetch(&registry.reference("v2")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::NotFound { .. })), "{error}");
}

#[test]
fn of_several_platforms_the_wanted_one_is_taken() {
    let (yard, image) = (yard(), recipe().pack());
    let mut other = recipe();
    other.architecture = "arm64";
    let index = Image::index(&[("linux", "arm64", &other.pack()), ("linux", "amd64", &image)]);
    let registry = Registry::start().with("v1", &index);
    assert_eq!(yard.fetch(&registry.reference("v1")).digest, image.digest());
}

#[test]
fn names_and_passwords_are_shown_when_asked_for() {
    let image = recipe().pack();
    let login = || Login::Password { username: USER.to_owned(), password: PASSWORD.to_owned() };
    for door in [Door::Basic, Door::TokenForLogin] {
        let registry = Registry::start().with("v1", &image).behind(door.clone());
        let address = registry.address.to_string();
        let error = yard().try_fetch(&registry.reference("v1")).unwrap_err();
        assert!(matches!(error, SourceError::Registry(RegistryError::Denied { .. })), "{door:?}: {error}");
        let credentials = Credentials::default().with(&address, login());
        let yard = Yard::over(OciLimits::default(), RegistrySettings { credentials, ..settings() });
        assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
        // As other tools have written them down.
        let file = yard.path("config.json");
        let auth =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{USER}:{PASSWORD}"));
        fs::write(&file, serde_json::json!({"auths": {address.clone(): {"auth": auth}}}).to_string())
            .unwrap();
        let credentials = Credentials::default().with_file(file);
        let yard = Yard::over(OciLimits::default(), RegistrySettings { credentials, ..settings() });
        assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    }
}

#[test]
fn tokens_are_had_for_nothing_or_for_another_and_renewed() {
    let image = recipe().pack();
    let registry = Registry::start().with("v1", &image).behind(Door::Token);
    let yard = yard();
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_eq!(registry.seen("/token").len(), 1, "one for all requests");

    let registry = Registry::start().with("v1", &image).behind(Door::TokenForLogin);
    let login = Login::IdentityToken("identity".to_owned());
    let credentials = Credentials::default().with(&registry.address.to_string(), login);
    let yard = Yard::over(OciLimits::default(), RegistrySettings { credentials, ..settings() });
    registry.trouble(&layer_of(&image), Trouble::Expired);
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_eq!(registry.seen("/token").len(), 2);
}

#[test]
fn credentials_do_not_follow_a_redirection() {
    let (image, store) = (recipe().pack(), Registry::start());
    let store = store.with("v1", &image);
    let registry = Registry::start().with("v1", &image).behind(Door::Basic);
    registry.always("/blobs/", Trouble::Redirect(format!("http://{}{{path}}?signature=1", store.address)));
    let login = Login::Password { username: USER.to_owned(), password: PASSWORD.to_owned() };
    let credentials = Credentials::default().with(&registry.address.to_string(), login);
    let yard = Yard::over(OciLimits::default(), RegistrySettings { credentials, ..settings() });
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    let seen = store.seen("/blobs/");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.authorization.is_none() && seen.query == "signature=1"), "{seen:?}");
    // A store that asks for credentials gets none.
    let store = store.behind(Door::Basic);
    yard.sources.sweep().unwrap();
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::Denied { .. })), "{error}");
    assert!(store.seen("/blobs/").iter().all(|seen| seen.authorization.is_none()));
}

#[test]
fn redirections_end_and_stay_safe() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    for place in [
        format!("http://{}{{path}}", registry.address),
        "http://registry.example/x".to_owned(),
        "ftp://localhost/".to_owned(),
    ] {
        registry.calm();
        registry.always("/manifests/", Trouble::Redirect(place.clone()));
        let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
        assert!(matches!(error, SourceError::Registry(RegistryError::Malformed { .. })), "{place}: {error}");
    }
}

#[test]
fn a_registry_that_is_busy_is_asked_again() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    registry.trouble("/manifests/", Trouble::Status(429, Some("1")));
    registry.trouble(&layer_of(&image), Trouble::Status(503, None));
    registry.trouble(&layer_of(&image), Trouble::Status(502, Some("0")));
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_eq!(registry.seen(&layer_of(&image)).len(), 3);
    // Not for ever, and not if it says to stay away.
    for (trouble, expected) in [
        (Trouble::Status(503, None), 3),
        (Trouble::Status(429, Some("3600")), 1),
        (Trouble::Status(400, None), 1),
    ] {
        let registry = Registry::start().with("v1", &image);
        registry.always("/manifests/", trouble.clone());
        let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
        assert!(
            matches!(&error, SourceError::Registry(RegistryError::Refused { message, .. }) if message == "as it was told (TROUBLE)"),
            "{error}"
        );
        assert_eq!(registry.seen("/manifests/").len(), expected, "{trouble:?}");
    }
}

#[test]
fn a_download_goes_on_where_it_was_cut_off() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    let layer = layer_of(&image);
    // More often than it would be tried in vain.
    for bytes in [100_000, 200_000, 300_000, 400_000] {
        registry.trouble(&layer, Trouble::CutAfter(bytes));
    }
    registry.trouble(&layer, Trouble::StallAfter(500_000));
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    let ranges: Vec<_> = registry.seen(&layer).into_iter().map(|seen| seen.range).collect();
    let expected = [0, 100_000, 300_000, 600_000, 1_000_000, 1_500_000];
    let expected: Vec<_> =
        expected.iter().map(|start| (*start > 0).then(|| format!("bytes={start}-"))).collect();
    assert_eq!(ranges, expected);
    assert_clean(&yard);
}

#[test]
fn the_next_run_goes_on_with_what_has_come() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    let layer = layer_of(&image);
    registry.trouble(&layer, Trouble::CutAfter(1_200_000));
    registry.always(&layer, Trouble::Status(503, None));
    yard.try_fetch(&registry.reference("v1")).unwrap_err();
    let partial = yard.path("sources/blobs/sha256").join(&yard.names("blobs/sha256")[0]);
    let metadata = fs::metadata(&partial).unwrap();
    assert_eq!(
        (metadata.len(), metadata.mode() & 0o777),
        (1_200_000, 0o600),
        "of this length, for nobody else"
    );
    registry.calm();
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_eq!(registry.seen(&layer).last().unwrap().range.as_deref(), Some("bytes=1200000-"));
    assert_clean(&yard);
    // What has come is not believed: from the beginning, if it turns out to be wrong.
    drop(yard);
    let yard = self::yard();
    let partial = yard.path("sources/blobs/sha256").join(partial.file_name().unwrap());
    fs::write(&partial, noise(9, 1000)).unwrap();
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_eq!(registry.seen(&layer).last().unwrap().range, None);
    // Nor is its length.
    yard.sources.sweep().unwrap();
    fs::write(&partial, noise(9, 4_000_000)).unwrap();
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert_clean(&yard);
}

#[test]
fn ranges_are_not_taken_for_granted() {
    let image = recipe().pack();
    let layer = layer_of(&image);
    let registry = Registry::start().with("v1", &image);
    let yard = yard();
    registry.trouble(&layer, Trouble::CutAfter(1000));
    registry.trouble(&layer, Trouble::WholeOnly);
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    yard.sources.sweep().unwrap();
    registry.trouble(&layer, Trouble::CutAfter(1000));
    registry.trouble(&layer, Trouble::OtherRange);
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::Malformed { .. })), "{error}");
}

#[test]
fn who_gets_no_further_than_before_is_not_asked_for_ever() {
    let (yard, image) = (yard(), recipe().pack());
    let layer = layer_of(&image);
    let registry = Registry::start().with("v1", &image);
    for bytes in [2000, 1000, 2000, 1000, 2000, 1000] {
        registry.trouble(&layer, Trouble::WholeUntil(bytes));
    }
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::Unreachable { .. })), "{error:?}");
    assert_eq!(registry.seen(&layer).len(), 3);
}

#[test]
fn who_is_refused_for_another_reason_is_not_asked_for_credentials() {
    let (image, mut settings) = (recipe().pack(), settings());
    let registry = Registry::start().with("v1", &image);
    // A folder: it fails whoever reads it.
    let no_file = TempDir::new().unwrap();
    settings.credentials = Credentials::default().with_file(no_file.path().to_owned());
    let yard = Yard::over(OciLimits::default(), settings);
    registry.trouble("/manifests/", Trouble::Status(503, None));
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    let error = yard.try_fetch(&registry.reference("v2")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::NotFound { .. })), "{error}");
    let registry = registry.behind(Door::Basic);
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::Credentials { .. })), "{error}");
}

#[test]
fn wrong_bytes_are_refused() {
    let image = recipe().pack();
    let layer = layer_of(&image);
    let registry = Registry::start().with("v1", &image);
    let yard = yard();
    registry.always(&layer, Trouble::OtherByte);
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(
        matches!(&error, SourceError::Layer { source: LayerError::Wrong(WrongBytes::Digest { .. }), .. }),
        "{error:?}"
    );
    // Of another layer, whose download this ended, there may be a part to go on with.
    let wrong = layer.rsplit(':').next().unwrap();
    assert!(!yard.names("blobs/sha256").iter().any(|name| name.contains(wrong)));
    for trouble in [Trouble::OneMore, Trouble::NoEnd] {
        registry.calm();
        registry.always(&layer, trouble.clone());
        let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
        assert!(
            matches!(&error, SourceError::Wrong { source: WrongBytes::Length { .. }, .. }),
            "{trouble:?} {error:?}"
        );
    }
    let config = image.manifest()["config"]["digest"].as_str().unwrap().to_owned();
    registry.calm();
    registry.always(&config, Trouble::OtherByte);
    assert!(matches!(yard.try_fetch(&registry.reference("v1")).unwrap_err(), SourceError::Wrong { .. }));
    registry.calm();
    registry.always("/manifests/", Trouble::OtherByte);
    assert!(yard.try_fetch(&registry.reference("v1")).is_err());
    let by_digest = format!("{}@{}", registry.reference("v1"), Digest::of(b"another"));
    registry.calm();
    assert!(yard.try_fetch(&by_digest).is_err());
    registry.always("/manifests/", Trouble::OtherDigest);
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(matches!(error, SourceError::Registry(RegistryError::Malformed { .. })), "{error}");
}

#[test]
fn documents_without_end_are_not_read_to_it() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    registry.always("/manifests/", Trouble::NoEnd);
    let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Registry(RegistryError::TooLarge { .. } | RegistryError::TimedOut { .. })
        ),
        "{error}"
    );
}

#[test]
fn nothing_is_waited_for_without_a_deadline() {
    let (yard, image) = (yard(), recipe().pack());
    for (part, trouble) in [
        ("/manifests/".to_owned(), Trouble::Silence),
        ("/manifests/".to_owned(), Trouble::StallAfter(5)),
        (layer_of(&image), Trouble::StallAfter(0)),
        (layer_of(&image), Trouble::Silence),
    ] {
        let registry = Registry::start().with("v1", &image);
        registry.always(&part, trouble.clone());
        let error = yard.try_fetch(&registry.reference("v1")).unwrap_err();
        assert!(
            matches!(error, SourceError::Registry(RegistryError::TimedOut { .. })),
            "{trouble:?} {error:?}"
        );
    }
}

#[test]
fn mirrors_are_asked_first_and_believed_no_more_than_others() {
    let image = recipe().pack();
    let registry = Registry::start().with("v1", &image);
    let over = |mirrors: &[&Registry]| {
        let mirrors = mirrors.iter().map(|mirror| Mirror {
            registry: registry.address.to_string(),
            endpoint: format!("{}/proxy", mirror.address),
        });
        Yard::over(OciLimits::default(), RegistrySettings { mirrors: mirrors.collect(), ..settings() })
    };
    let mirror = Registry::start().with("v1", &image);
    assert_eq!(contents(&over(&[&mirror]).fetch(&registry.reference("v1"))), tars());
    assert!(registry.seen("").is_empty());
    let seen = mirror.seen("/manifests/");
    assert!(
        seen[0].path.starts_with("/proxy/v2/team/app/") && seen[0].query.starts_with("ns=127.0.0.1"),
        "{seen:?}"
    );
    // One without the image, one that lies, one that does not answer.
    let (without, lying, silent) =
        (Registry::start(), Registry::start().with("v1", &image), Registry::start());
    lying.always("/blobs/", Trouble::OtherByte);
    silent.always("", Trouble::Silence);
    assert_eq!(contents(&over(&[&without, &lying, &silent]).fetch(&registry.reference("v1"))), tars());
}

#[test]
fn an_image_that_is_wanted_by_several_is_fetched_once() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    let reference = yard.reference(&registry.reference("v1"));
    let platform = Platform::new("amd64");
    let images = wait(futures_util::future::join_all(
        (0..8).map(|_| yard.sources.fetch(&reference, &platform, Arc::new(()))),
    ));
    for image in images {
        assert_eq!(contents(&image.unwrap()), tars());
    }
    assert_eq!(registry.seen(&layer_of(&image)).len(), 1);
}

#[test]
fn who_no_longer_wants_an_image_leaves_what_can_be_gone_on_with() {
    let (yard, image) = (yard(), recipe().pack());
    let registry = Registry::start().with("v1", &image);
    registry.trouble(&layer_of(&image), Trouble::StallAfter(1_500_000));
    let reference = yard.reference(&registry.reference("v1"));
    wait(async {
        let platform = Platform::new("amd64");
        let fetching = yard.sources.fetch(&reference, &platform, Arc::new(()));
        let path = yard.path("sources/blobs/sha256");
        let has_come = async {
            let length = || {
                let entries = fs::read_dir(&path).unwrap().map(Result::unwrap);
                // The small layer comes and goes.
                entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).max()
            };
            while length().unwrap_or(0) < 1 << 20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = fetching => panic!("it was not to end"),
            () = has_come => {}
        }
    });
    assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars());
    assert!(registry.seen(&layer_of(&image)).last().unwrap().range.is_some());
    // A layer that came to its end for the one who went away is there, and so is what it was unpacked from.
    yard.sources.sweep().unwrap();
    assert_clean(&yard);
}

#[test]
fn a_registry_that_is_not_there_is_told() {
    let yard = yard();
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let text = chain(&yard.try_fetch(&format!("{address}/a:b")).unwrap_err());
    assert!(text.contains(&format!("asking for http://{address}/v2/a/manifests/b")), "{text}");
}
