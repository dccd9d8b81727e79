//! Rules about files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Tree, extension_is};

/// Most lines of a source file, its tests not counted. Few reach two thirds of that; one that does has a second room.
const LONGEST_FILE_LINES: usize = 600;

/// Each in two parts, so that this file does not break its own rule.
const FORBIDDEN_WORDS: &[(&str, &str)] = &[
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("HA", "CK"),
    ("dbg", "!("),
    ("todo", "!("),
    ("unimple", "mented!("),
    ("#[ig", "nore"),
];

/// Folders that only exist on somebody's machine.
const MACHINE_PATHS: &[(&str, &str)] = &[("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/")];

/// Of the record (`migrations/ENGINE/`) and of the key store (`migrations/keys/ENGINE/`).
pub(super) fn migrations(tree: &Tree) -> Vec<String> {
    let mut stores: BTreeMap<String, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for file in &tree.files {
        let parts: Option<Vec<&str>> = file.iter().map(|part| part.to_str()).collect();
        if let Some([store @ .., engine, name]) = parts.as_deref()
            && store.first() == Some(&"migrations")
        {
            stores.entry(store.join("/")).or_default().entry(engine).or_default().insert(name);
        }
    }
    stores.iter().flat_map(|(store, by_engine)| migrations_of(store, by_engine)).collect()
}

fn migrations_of(store: &str, by_engine: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let all: BTreeSet<&str> = by_engine.values().flatten().copied().collect();
    let mut breaches = Vec::new();
    for (engine, names) in by_engine {
        let missing = all.difference(names);
        breaches.extend(missing.map(|name| format!("{store}/{engine}/{name} is missing")));
        for (number, name) in (1_usize..).zip(names) {
            let is_next =
                name.starts_with(&format!("{number:04}_")) && extension_is(Path::new(name), &["sql"]);
            if !is_next {
                breaches.push(format!("{store}/{engine}/{name} should be {number:04}_….sql"));
            }
        }
    }
    breaches
}

pub(super) fn forbidden_words(tree: &Tree) -> Vec<String> {
    let is_source = |file: &Path| {
        extension_is(file, &["rs", "sql", "toml", "sh", "yml", "yaml"]) || file.extension().is_none()
    };
    occurrences(tree, is_source, FORBIDDEN_WORDS)
}

pub(super) fn machine_paths(tree: &Tree) -> Vec<String> {
    occurrences(tree, |_| true, MACHINE_PATHS)
}

/// Every place at which one of the texts stands, as a word of its own where it begins with a letter.
fn occurrences(tree: &Tree, is_wanted: impl Fn(&Path) -> bool, texts: &[(&str, &str)]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(|(first, second)| format!("{first}{second}")).collect();
    let mut found = Vec::new();
    for (file, content) in tree.texts(is_wanted) {
        for (line, number) in content.lines().zip(1..) {
            let here = texts.iter().filter(|text| has_word(line, text));
            found.extend(here.map(|text| format!("{}:{number} has `{text}`", file.display())));
        }
    }
    found
}

fn has_word(line: &str, text: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + text.len()..].chars().next();
        let begins = !text.starts_with(is_letter) || !before.is_some_and(is_letter);
        let ends = !text.ends_with(is_letter) || !after.is_some_and(is_letter);
        begins && ends
    })
}

pub(super) fn lengths(tree: &Tree) -> Vec<String> {
    let is_source = |file: &Path| {
        let is_tests = file.iter().any(|part| part == "tests" || part == "tests.rs");
        extension_is(file, &["rs"]) && !is_tests
    };
    let too_long = tree.texts(is_source).filter_map(|(file, text)| {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        (lines > LONGEST_FILE_LINES)
            .then(|| format!("{} has {lines} lines, more than {LONGEST_FILE_LINES}", file.display()))
    });
    too_long.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree_of;
    use super::*;

    #[test]
    fn engines_have_the_same_migrations_without_gaps() {
        let (_dir, tree) = tree_of(&[
            ("migrations/sqlite/0001_a.sql", ""),
            ("migrations/sqlite/0003_b.sql", ""),
            ("migrations/postgres/0001_a.sql", ""),
            ("migrations/keys/sqlite/0001_k.sql", ""),
            ("migrations/keys/postgres/0001_l.sql", ""),
        ]);
        let breaches = migrations(&tree);
        assert_eq!(
            breaches,
            [
                "migrations/postgres/0003_b.sql is missing",
                "migrations/sqlite/0003_b.sql should be 0002_….sql",
                "migrations/keys/postgres/0001_k.sql is missing",
                "migrations/keys/sqlite/0001_l.sql is missing",
            ]
        );
    }

    #[test]
    fn a_word_left_for_later_is_found_with_its_line() {
        let (first, second) = FORBIDDEN_WORDS[0];
        let source = format!("// fine\n// {first}{second}: later\nlet {first}{second}S = 1;");
        let (_dir, tree) = tree_of(&[("a.rs", &source), ("a.md", &source)]);
        assert_eq!(forbidden_words(&tree), [format!("a.rs:2 has `{first}{second}`")]);
    }

    #[test]
    fn paths_of_a_machine_are_found_in_any_file() {
        let (first, second) = MACHINE_PATHS[0];
        let (_dir, tree) = tree_of(&[("docs/a.md", &format!("see {first}{second}x"))]);
        assert_eq!(machine_paths(&tree).len(), 1);
    }

    #[test]
    fn tests_do_not_count_as_length() {
        let code = "//\n".repeat(LONGEST_FILE_LINES);
        let long = format!("{code}//\n");
        let tested = format!("{code}#[cfg(test)]\nmod tests {{}}\n");
        let (_dir, tree) = tree_of(&[("a.rs", &long), ("b.rs", &tested), ("b/tests.rs", &long)]);
        assert_eq!(lengths(&tree), ["a.rs has 601 lines, more than 600"]);
    }
}
