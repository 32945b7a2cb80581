//! Which handlers a folder of Python code offers, told from the text of its files.
//!
//! Nothing is imported: code may need its environment, and may do anything when imported. Only names
//! bound at the left margin count (`def`, `async def`, assignment), which is how handlers are written.

use crate::detect::Offer;

/// Files that are expected to hold the handler, by the habits of AWS's console and common templates.
const USUAL_MODULES: [&str; 8] =
    ["lambda_function", "app", "main", "handler", "index", "function", "lambda_handler", "lambda"];
/// What AWS's console creates.
const CONSOLE_DEFAULT: &str = "lambda_function.lambda_handler";
/// What handlers are called.
const USUAL_NAMES: [&str; 2] = ["lambda_handler", "handler"];

/// Whether a file of this name may hold a handler; tests and packaging scripts do not.
pub(crate) fn is_code(file_name: &str) -> bool {
    file_name.strip_suffix(".py").is_some_and(|module| {
        !module.starts_with("test_")
            && !module.ends_with("_test")
            && !["__init__", "__main__", "conftest", "setup", "noxfile"].contains(&module)
    })
}

/// The handlers in `text`, the content of `module`.
pub(crate) fn offers(module: &str, text: &str) -> Vec<Offer> {
    let usual_file = USUAL_MODULES.contains(&module);
    let mut offers: Vec<Offer> = Vec::new();
    for line in text.lines() {
        let Some(bound) = Bound::read(line) else { continue };
        let handler = format!("{module}.{}", bound.name);
        let rank = match USUAL_NAMES.contains(&bound.name) {
            true if handler == CONSOLE_DEFAULT => 0,
            true if usual_file => 1,
            true => 2,
            // Any other name, but the signature of a handler.
            false if bound.takes_event_and_context => 3,
            false => continue,
        };
        if !offers.iter().any(|offer| offer.handler == handler) {
            offers.push(Offer { handler, rank });
        }
    }
    offers
}

/// A name bound by a line at the left margin.
struct Bound<'a> {
    name: &'a str,
    takes_event_and_context: bool,
}

impl<'a> Bound<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let function =
            line.strip_prefix("async ").unwrap_or(line).trim_start_matches(' ').strip_prefix("def ");
        if let Some(function) = function.filter(|_| !line.starts_with(' ')) {
            let (name, parameters) = function.trim_start().split_once('(')?;
            let mut parameters = parameters.split([',', ')']).map(|parameter| {
                let name = parameter.split([':', '=']).next().unwrap_or_default();
                name.trim().trim_matches('_')
            });
            let takes_event_and_context =
                parameters.next() == Some("event") && matches!(parameters.next(), Some("context" | "ctx"));
            return Some(Bound { name: name.trim_end(), takes_event_and_context });
        }
        let end = line.find(|character: char| !character.is_alphanumeric() && character != '_')?;
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let assigned = rest.starts_with('=') && !rest.starts_with("==");
        // `handler: Callable = …`
        let annotated = rest.starts_with(':') && rest.contains('=');
        (assigned || annotated).then_some(Bound { name, takes_event_and_context: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(module: &str, text: &str, expected: &[(&str, u8)]) {
        let offers = offers(module, text);
        let offers: Vec<_> = offers.iter().map(|offer| (offer.handler.as_str(), offer.rank)).collect();
        assert_eq!(offers, expected, "{text}");
    }

    #[test]
    fn handlers_are_found_where_they_are_bound() {
        check(
            "lambda_function",
            "def lambda_handler(event, context):\n",
            &[("lambda_function.lambda_handler", 0)],
        );
        check("app", "async def handler (event, context):\n", &[("app.handler", 1)]);
        check("app", "handler = Mangum(app)\n", &[("app.handler", 1)]);
        check("app", "handler: Callable = make()\n", &[("app.handler", 1)]);
        check("orders", "def handler(e, c): pass\n", &[("orders.handler", 2)]);
        check("orders", "def on_order(event: dict, context=None) -> None:\n", &[("orders.on_order", 3)]);
        check("orders", "def on_order(event, _context):\n", &[("orders.on_order", 3)]);
        check("app", "handler = None\ndef handler(event, context): ...\n", &[("app.handler", 1)]);
    }

    #[test]
    fn other_lines_bind_no_handler() {
        for text in [
            "    def handler(event, context):",
            "class A:\n  handler = 1",
            "# def handler(event, context):",
            "handler == x",
            "handler(event)",
            "handlers = {}",
            "def handle(request, response):",
            "def one(event):",
            "from x import handler",
            "",
        ] {
            check("app", text, &[]);
        }
    }

    #[test]
    fn tests_and_packaging_scripts_are_no_code() {
        for name in ["app.py", "lambda_function.py", "latest.py"] {
            assert!(is_code(name), "{name}");
        }
        for name in ["test_app.py", "app_test.py", "conftest.py", "setup.py", "__init__.py", "app.pyc", "py"]
        {
            assert!(!is_code(name), "{name}");
        }
    }
}
