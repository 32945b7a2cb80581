//! Which handlers a folder of JavaScript offers, told from the text of its files.
//!
//! Nothing is loaded. The text is looked through for the ways in which both module systems, and the
//! bundlers that write one from the other, export a name.

use crate::detect::Offer;

/// Files that are expected to hold the handler.
const USUAL_FILES: [&str; 7] = ["index", "app", "handler", "main", "lambda", "function", "server"];
/// What AWS's console creates.
const CONSOLE_DEFAULT: &str = "index.handler";
/// What handlers are called; the second by SAM's templates.
const USUAL_NAMES: [&str; 2] = ["handler", "lambdaHandler"];

/// The file name without its ending, if a file of this name may hold a handler.
pub(crate) fn stem(file_name: &str) -> Option<&str> {
    let stem = [".mjs", ".cjs", ".js"].iter().find_map(|ending| file_name.strip_suffix(ending))?;
    let inner = stem.rsplit_once('.').map_or("", |(_, inner)| inner);
    (!stem.is_empty() && !["test", "spec", "config"].contains(&inner)).then_some(stem)
}

/// The handlers in `text`, the content of the file `stem` (with its folders, without its ending).
/// `is_main` if `package.json` names it.
pub(crate) fn offers(stem: &str, text: &str, is_main: bool) -> Vec<Offer> {
    let exported = USUAL_NAMES.into_iter().filter(|name| exports(text, name));
    let offers = exported.map(|name| {
        let handler = format!("{stem}.{name}");
        let rank = match () {
            () if handler == CONSOLE_DEFAULT => 0,
            () if is_main => 1,
            () if USUAL_FILES.contains(&stem) => 2,
            () => 3,
        };
        Offer { handler, rank }
    });
    offers.collect()
}

/// Whether `text` exports `name`.
fn exports(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + name.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        whole && !is_comment(before) && (is_declared(before, after) || is_listed(before, after))
    })
}

/// `exports.NAME =`, `export const NAME`, `export async function NAME`, …
fn is_declared(before: &str, after: &str) -> bool {
    if let Some(object) = before.trim_end().strip_suffix('.') {
        let after = after.trim_start();
        // Not `exports.handler.x = …` or `exports.handler == …`.
        return ends_with_word(object, "exports") && after.starts_with('=') && !after.starts_with("==");
    }
    let mut before = before.trim_end().trim_end_matches('*').trim_end();
    let mut declared = false;
    for word in ["const", "let", "var", "function", "class", "async"] {
        if ends_with_word(before, word) {
            before = before[..before.len() - word.len()].trim_end();
            declared = true;
        }
    }
    declared && ends_with_word(before, "export")
}

/// `module.exports = { NAME, … }`, `export { x as NAME }`: directly within such braces.
fn is_listed(before: &str, after: &str) -> bool {
    let Some(opening) = enclosing_brace(before) else {
        return false;
    };
    let inside = &before[opening + 1..];
    let ahead = before[..opening].trim_end();
    if ends_with_word(ahead, "export") {
        // In `NAME as other` it is the other that is exported.
        let renamed =
            after.trim_start().strip_prefix("as").is_some_and(|rest| rest.starts_with(char::is_whitespace));
        return !renamed;
    }
    let assigned = ahead.strip_suffix('=').map(str::trim_end);
    let inside = inside.trim_end();
    // A key, not a value: `{ other: NAME }` exports the other.
    let is_key = matches!(inside.chars().next_back(), None | Some(',' | '}' | '*' | '/'))
        || ends_with_word(inside, "async");
    is_key && assigned.is_some_and(|object| ends_with_word(object, "exports"))
}

/// How far back an open brace is looked for. Lists of exports are short; a bundle of megabytes that
/// mentions the name a thousand times must not be read a thousand times.
const BRACE_BYTES: usize = 16 * 1024;

/// Where the innermost brace still open at the end of `text` is.
fn enclosing_brace(text: &str) -> Option<usize> {
    let mut closed = 0usize;
    for (at, byte) in text.bytes().enumerate().rev().take(BRACE_BYTES) {
        match byte {
            b'}' => closed += 1,
            b'{' if closed == 0 => return Some(at),
            b'{' => closed -= 1,
            _ => {}
        }
    }
    None
}

/// Whether a line comment, or a line of a block comment in the usual form, has begun.
fn is_comment(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
    line.starts_with("//") || line.starts_with("/*") || line.starts_with("* ")
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|rest| !rest.ends_with(is_word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exports_of_both_module_systems_are_found() {
        for text in [
            "exports.handler = async (event) => {}",
            "module.exports.handler=function(e,c,d){}",
            "exports.handler = void 0;\nexports.handler = h;",
            "export const handler = async () => {}",
            "export let handler",
            "export async function handler(event) {}",
            "export function* handler() {}",
            "export  function\n handler() {}",
            "module.exports = { handler }",
            "module.exports = {\n  other: 1,\n  handler: async () => { return {} },\n}",
            "module.exports = { other: () => { if (a) { b } }, handler }",
            "module.exports = { async handler(event) {} }",
            "0 && (module.exports = {\n  handler\n});",
            "export {\n  handler\n};",
            "export { a, b as handler }",
            "const x = 1; export { handler as default, handler };",
        ] {
            assert!(exports(text, "handler"), "{text}");
        }
    }

    #[test]
    fn other_mentions_are_no_exports() {
        for text in [
            "",
            "const handler = 1",
            "// exports.handler = 1",
            "/* export const handler */",
            " * exports.handler = x",
            "exports.handlers = 1",
            "myexports.handler = 1",
            "exports.handler.name = 'x'",
            "exports.handler == 1",
            "import { handler } from './x.js'",
            "const { handler } = require('./x')",
            "module.exports = { other: handler }",
            "module.exports = { other: { handler } }",
            "export { handler as other }",
            "export default handler",
            "export const other = handler",
            "exports.other = handler",
        ] {
            assert!(!exports(text, "handler"), "{text}");
        }
    }

    #[test]
    fn offers_are_ranked_by_habit() {
        let ranks = |stem: &str, text: &str, is_main| -> Vec<(String, u8)> {
            offers(stem, text, is_main).into_iter().map(|offer| (offer.handler, offer.rank)).collect()
        };
        let text = "exports.handler = 1; exports.lambdaHandler = 2";
        assert_eq!(
            ranks("index", text, true),
            [("index.handler".into(), 0), ("index.lambdaHandler".into(), 1)]
        );
        assert_eq!(ranks("app", text, false), [("app.handler".into(), 2), ("app.lambdaHandler".into(), 2)]);
        assert_eq!(ranks("orders", "exports.handler=1", false), [("orders.handler".into(), 3)]);
    }

    #[test]
    fn tests_and_configuration_are_no_code() {
        assert_eq!(stem("index.mjs"), Some("index"));
        assert_eq!(stem("a.b.cjs"), Some("a.b"));
        for name in ["index.test.js", "index.spec.mjs", "eslint.config.mjs", "index.ts", ".js", "js"] {
            assert_eq!(stem(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(handler|export|exports|module|[{}=.:,*/ \\né]){0,30}") {
            let _ = exports(&text, "handler");
        }
    }
}
