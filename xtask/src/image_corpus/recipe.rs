//! The images of the corpus, as data: what each is made of, and how it differs from another.
//!
//! | image | base | dependencies | function |
//! |---|---|---|---|
//! | python | Debian, Python | the runtime's client | answers |
//! | numpy | same | + numpy | answers |
//! | data | same | + numpy, pandas, scipy | groups a frame |
//! | data-app | same | same as data | one file changed |
//! | data-base | five files patched | same as data | same as data |
//! | data-numpy | same | another numpy | same as data |
//! | web | same | + flask, requests, boto3, pandas | answers a request |
//! | web-requests | same | another requests | same as web |
//!
//! They are the eight that deduplication is judged by. A ninth, `large`, is data with noise in a layer of its own.

/// What anything that is built depends on beside its recipe: to be changed with what changes the bytes of a layer.
pub(super) const EDITION: u32 = 1;

/// In the base, beside what is essential: an interpreter, and what images often have for the one who looks inside.
pub(super) const PACKAGES: [&str; 6] =
    ["usr-is-merged", "python3", "ca-certificates", "curl", "git", "procps"];

/// Replaced in the patched base, at the places where Debian has them; a star stands for the rest of a name.
pub(super) const PATCHED: [&str; 5] = [
    "usr/lib/*-linux-gnu/libexpat.so.1.*",
    "usr/lib/*-linux-gnu/libgnutls.so.30.*",
    "usr/lib/*-linux-gnu/libssl.so.3",
    "usr/lib/*-linux-gnu/libz.so.1.*",
    "etc/debian_version",
];

const CLIENT: [&str; 3] = ["awslambdaric==4.2.2", "simplejson==4.3.0", "snapshot_restore_py==1.0.0"];
const NUMPY: &str = "numpy==2.4.6";
const OTHER_NUMPY: &str = "numpy==2.4.5";
const PANDAS: [&str; 3] = ["pandas==3.1.1", "python_dateutil==2.9.0.post0", "six==1.17.0"];
const SCIENCE: &str = "scipy==1.17.1";
const REQUESTS: &str = "requests==2.34.2";
const OTHER_REQUESTS: &str = "requests==2.34.1";
const WEB: [&str; 14] = [
    "flask==3.1.3",
    "blinker==1.9.0",
    "click==8.5.1",
    "itsdangerous==2.2.0",
    "jinja2==3.1.6",
    "markupsafe==3.0.4",
    "werkzeug==3.1.9",
    "boto3==1.44.8",
    "botocore==1.44.8",
    "jmespath==1.1.0",
    "s3transfer==0.19.3",
    "certifi==2026.10.19.post1",
    "idna==3.20",
    "urllib3==2.8.0",
];
const CHARSETS: &str = "charset_normalizer==3.5.3";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Debian,
    Patched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dependencies {
    Client,
    Numpy,
    Data { numpy: &'static str },
    Web { requests: &'static str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum App {
    Hello,
    Frames { greeting: &'static str },
    Page,
}

/// One image, without the noise of a large one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) base: Base,
    pub(super) dependencies: Dependencies,
    pub(super) app: App,
}

const DATA: Recipe = Recipe {
    name: "data",
    base: Base::Debian,
    dependencies: Dependencies::Data { numpy: NUMPY },
    app: App::Frames { greeting: "sums" },
};

const WEB_IMAGE: Recipe = Recipe {
    name: "web",
    base: Base::Debian,
    dependencies: Dependencies::Web { requests: REQUESTS },
    app: App::Page,
};

pub(super) const IMAGES: [Recipe; 8] = [
    Recipe { name: "python", dependencies: Dependencies::Client, app: App::Hello, ..DATA },
    Recipe { name: "numpy", dependencies: Dependencies::Numpy, app: App::Hello, ..DATA },
    DATA,
    Recipe { name: "data-app", app: App::Frames { greeting: "totals" }, ..DATA },
    Recipe { name: "data-base", base: Base::Patched, ..DATA },
    Recipe { name: "data-numpy", dependencies: Dependencies::Data { numpy: OTHER_NUMPY }, ..DATA },
    WEB_IMAGE,
    Recipe {
        name: "web-requests",
        dependencies: Dependencies::Web { requests: OTHER_REQUESTS },
        ..WEB_IMAGE
    },
];

/// What the large image is, apart from its noise.
pub(super) const LARGE: Recipe = Recipe { name: "large", ..DATA };

impl Base {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debian => "base",
            Self::Patched => "base-patched",
        }
    }
}

impl Dependencies {
    pub(super) fn name(self) -> String {
        match self {
            Self::Client => "client".into(),
            Self::Numpy => "numpy".into(),
            Self::Data { numpy } => format!("data-{numpy}"),
            Self::Web { requests } => format!("web-{requests}"),
        }
    }

    /// All of them, with what they need.
    pub(super) fn requirements(self) -> Vec<&'static str> {
        let mut all = CLIENT.to_vec();
        match self {
            Self::Client => {}
            Self::Numpy => all.push(NUMPY),
            Self::Data { numpy } => {
                all.push(numpy);
                all.extend(PANDAS);
                all.push(SCIENCE);
            }
            Self::Web { requests } => {
                all.extend([requests, CHARSETS, NUMPY]);
                all.extend(PANDAS);
                all.extend(WEB);
            }
        }
        all
    }
}

impl App {
    pub(super) fn name(self) -> String {
        match self {
            Self::Hello => "hello".into(),
            Self::Frames { greeting } => format!("frames-{greeting}"),
            Self::Page => "page".into(),
        }
    }

    /// Its files, by name in the function's folder. Each `app.py` has the handler that the images' command names.
    pub(super) fn files(self) -> Vec<(&'static str, String)> {
        let handler = match self {
            Self::Hello => HELLO.to_owned(),
            Self::Frames { greeting } => FRAMES.replace("GREETING", greeting),
            Self::Page => PAGE.to_owned(),
        };
        vec![("app.py", handler), ("settings.json", "{\"columns\": [\"group\", \"value\"]}\n".to_owned())]
    }
}

const HELLO: &str = "\
def handler(event, context):
    return {\"hello\": event.get(\"name\")}
";

const FRAMES: &str = "\
import json
import pathlib

import pandas

columns = json.loads(pathlib.Path(__file__).with_name(\"settings.json\").read_text())[\"columns\"]


def handler(event, context):
    frame = pandas.DataFrame(event[\"rows\"], columns=columns)
    return {\"GREETING\": frame.groupby(\"group\")[\"value\"].sum().to_dict()}
";

const PAGE: &str = "\
import flask
import pandas
import requests

app = flask.Flask(__name__)


@app.get(\"/\")
def rows():
    return pandas.DataFrame({\"value\": [1, 2, 3]}).to_json()


def handler(event, context):
    response = app.test_client().get(event.get(\"path\", \"/\"))
    return {\"status\": response.status_code, \"body\": response.text, \"client\": requests.__version__}
";
