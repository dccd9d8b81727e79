//! Rules about what people read.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Tree, extension_is};

/// What the names of settings begin with.
const SETTING: &str = "TRIALSEAL_";

pub(super) fn links(tree: &Tree) -> Vec<String> {
    let mut dead = Vec::new();
    for (file, text) in tree.texts(|file| extension_is(file, &["md"])) {
        let folder = tree.root.join(file.parent().unwrap_or(Path::new("")));
        for target in local_links(&text) {
            if !folder.join(target).exists() {
                dead.push(format!("{} links to {target}, which is not there", file.display()));
            }
        }
    }
    dead
}

/// The targets of a Markdown text's links that are paths, without the place inside the file.
fn local_links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next());
    let is_path = |target: &&str| !target.contains("://") && !target.starts_with("mailto:");
    targets.filter(is_path).filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty())
}

/// The document that says which tests try what a rule asks.
const COMPLIANCE: &str = "docs/compliance.md";

pub(super) fn named_tests(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text(Path::new(COMPLIANCE)) else { return Vec::new() };
    let mut missing = Vec::new();
    let mut place = Path::new("");
    // What stands between backticks: paths, and after each the tests that are in it.
    for name in text.split('`').skip(1).step_by(2) {
        let is_there = if is_path(name) {
            place = Path::new(name);
            tree.root.join(place).exists()
        } else {
            !is_test(name) || has_function(tree, place, name)
        };
        if !is_there {
            missing.push(format!("{COMPLIANCE} names {name}, which is not there ({})", place.display()));
        }
    }
    missing
}

fn is_path(name: &str) -> bool {
    name.contains('/') && !name.starts_with("./") && !name.contains(' ')
}

fn is_test(name: &str) -> bool {
    name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether a file, or one in a folder, has a function of this name.
fn has_function(tree: &Tree, place: &Path, name: &str) -> bool {
    let function = format!("fn {name}(");
    tree.texts(|file| file.starts_with(place)).any(|(_, text)| text.contains(&function))
}

pub(super) fn settings(tree: &Tree) -> Vec<String> {
    let is_settings = |file: &Path| {
        file.starts_with("shared/runtime/src")
            && extension_is(file, &["rs"])
            && !file.ends_with("tests.rs")
            && file.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with("settings")))
    };
    let documented: BTreeSet<String> = tree
        .texts(|file| extension_is(file, &["md"]))
        .flat_map(|(_, text)| names(&text).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut missing = BTreeSet::new();
    for (file, text) in tree.texts(is_settings) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let silent = names(code).filter(|name| !documented.contains(*name));
        missing.extend(silent.map(|name| format!("{name} ({}) is in no document", file.display())));
    }
    missing.into_iter().collect()
}

/// The names of settings in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(SETTING).filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        (name.len() > SETTING.len()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree_of;
    use super::*;

    #[test]
    fn links_to_what_is_not_there_are_found() {
        let text = "[a](https://example.org/x) [b](b.md#part) [c](#here) [d](../README.md) [e](gone.md)";
        let (_dir, tree) = tree_of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")]);
        assert_eq!(links(&tree), ["docs/a.md links to gone.md, which is not there"]);
    }

    #[test]
    fn tests_that_a_document_names_and_nobody_has_are_found() {
        let text = "`tests/a.rs`, with `kill -9`: `it_holds`, `it_does_not`; rule `a.b-c`. `tests/`: `it_holds`. `gone/b.rs`";
        let (_dir, tree) = tree_of(&[(COMPLIANCE, text), ("tests/a.rs", "fn it_holds() {}")]);
        assert_eq!(
            named_tests(&tree),
            [
                "docs/compliance.md names it_does_not, which is not there (tests/a.rs)",
                "docs/compliance.md names gone/b.rs, which is not there (gone/b.rs)"
            ]
        );
    }

    #[test]
    fn a_setting_in_no_document_is_found() {
        let settings_file = "shared/runtime/src/settings.rs";
        let code =
            "const A: &str = \"TRIALSEAL_A\"; const B: &str = \"TRIALSEAL_B_MS\";\n#[cfg(test)] TRIALSEAL_C";
        let (_dir, tree) = tree_of(&[(settings_file, code), ("README.md", "`TRIALSEAL_A` is …")]);
        let breaches = settings(&tree);
        assert_eq!(breaches, ["TRIALSEAL_B_MS (shared/runtime/src/settings.rs) is in no document"]);
    }
}
