use super::*;

fn frames(journal: &[u8]) -> Vec<usize> {
    let mut ends = vec![FIRST_LINE.len()];
    while let Some((_, length)) = frame::decode(&journal[ends[ends.len() - 1]..]) {
        ends.push(ends[ends.len() - 1] + length);
    }
    ends
}

/// A journal of one frame without notes and three with one, two and one.
fn journal() -> (Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path()).unwrap();
    journal.append(&["first\n"]).unwrap();
    journal.append(&["second\nnote\n", "thírd\n"]).unwrap();
    journal.append(&["fourth\n"]).unwrap();
    let text = fs::read(dir.path().join(FILE)).unwrap();
    let ends = frames(&text);
    assert_eq!((ends.len(), ends.last()), (5, Some(&text.len())));
    (text, ends)
}

const ALL: [&str; 4] = ["first\n", "second\nnote\n", "thírd\n", "fourth\n"];

/// How many notes are whole in the first `bytes` of it.
fn whole(ends: &[usize], bytes: usize) -> usize {
    [0, 0, 1, 3, 4][ends.iter().filter(|end| **end <= bytes).count() - 1]
}

fn read_of(text: &[u8]) -> Result<Vec<String>, usize> {
    read(text).map(|read| read.notes)
}

#[test]
fn a_tail_is_cut_wherever_it_was_torn() {
    let (text, ends) = journal();
    for length in 0..=text.len() {
        let read = read(&text[..length]);
        if length < ends[1] {
            assert!(read.is_err(), "{length}: the first frame was whole before the file had its name");
            continue;
        }
        let read = read.unwrap_or_else(|at| panic!("{length}: damaged at {at}"));
        assert_eq!(read.notes, ALL[..whole(&ends, length)], "{length}");
        assert_eq!(read.bytes, *ends.iter().rfind(|end| **end <= length).unwrap());
    }
}

#[test]
fn holes_in_the_last_frame_are_cut_and_holes_before_it_are_damage() {
    let (text, ends) = journal();
    for from in ends[0]..text.len() {
        for to in [from + 1, from + 40, text.len()] {
            let mut holed = text.clone();
            let to = to.min(text.len());
            holed[from..to].fill(0);
            let frame = ends.iter().rposition(|end| *end <= from).unwrap();
            if from >= ends[3] {
                assert_eq!(read_of(&holed).unwrap(), ALL[..3], "{from}..{to}");
            } else if to <= ends[3] {
                // One hole over this header and the last one leaves nothing to tell it from a torn tail by.
                assert_eq!(read_of(&holed), Err(ends[frame]), "{from}..{to}");
            }
        }
    }
}

#[test]
fn a_byte_that_changed_is_damage_in_any_frame() {
    let (text, ends) = journal();
    for place in 0..text.len() {
        for flip in [1, 0x80] {
            let mut damaged = text.clone();
            damaged[place] ^= flip;
            let frame = ends.iter().rfind(|end| **end <= place).copied().unwrap_or(0);
            assert_eq!(read_of(&damaged), Err(frame), "{place}");
        }
    }
}

#[test]
fn what_is_read_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    drop(Journal::create(dir.path()).unwrap());
    for (note, seen) in [("a\n", vec![]), ("b\n", vec!["a\n"])] {
        let (mut journal, notes) = Journal::open(dir.path()).unwrap();
        assert_eq!(notes, seen);
        journal.append(&[note]).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (mut journal, notes) = Journal::open(dir.path()).unwrap();
    assert_eq!(notes, ["a\n"]);
    journal.append(&["c\n"]).unwrap();
    journal.rewrite(&["d\n"]).unwrap();
    journal.append(&["e\n"]).unwrap();
    assert_eq!(Journal::open(dir.path()).unwrap().1, ["d\n", "e\n"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing lies beside it");
}

#[test]
fn a_journal_is_large_when_it_grew_and_not_when_it_began_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path()).unwrap();
    let note = "a".repeat(5 << 20);
    journal.append(&[&note]).unwrap();
    assert!(!journal.is_large());
    journal.append(&[&note]).unwrap();
    assert!(journal.is_large());
    journal.rewrite(&[&note]).unwrap();
    journal.append(&[&note]).unwrap();
    assert!(!journal.is_large(), "beside what it began with, that is little");
}

#[test]
fn a_journal_that_is_not_there_is_said_to_be_needed() {
    let dir = tempfile::tempdir().unwrap();
    let error = Journal::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("without which this witness must not cosign again"), "{error}");
    fs::write(dir.path().join(FILE), "something else").unwrap();
    let error = Journal::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("is damaged at byte 0"), "{error}");
}
