//! Mutation of bytes, the same for the same seed.

/// A small generator of numbers that look random (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % bound).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Pieces that parsers trip over: borders of numbers, of encodings, and of the formats' own texts.
const PIECES: &[&[u8]] = &[
    b"0",
    b"-0",
    b"-1",
    b"01",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"9007199254740991",
    b"9007199254740992",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"1e400",
    b"1.0",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[[[[[[[[",
    b"{\"\":",
    b"\"\"",
    b"\"\\ud800\"",
    b"\\u0000",
    b"\xff",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x80\x94 ",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"..",
    b"/",
    b".p/",
    b"x",
    b"+",
    b"=",
    b"AAAA",
    b"9999-12-31T23:59:59.999999Z",
    b"0000-00-00T00:00:00.000000Z",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
];

/// Most bytes that a mutated input has: what parsers do with more is what they do with this.
const MAX_BYTES: usize = 256 << 10;

/// Changes `input` in one to eight places; `other` is another input of the same kind, to take pieces from.
pub fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(8) {
        change(random, &mut bytes, other);
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(bytes.len());
    let end = (place + 1 + random.below(32)).min(bytes.len());
    match random.below(9) {
        0 if !bytes.is_empty() => bytes[place] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[place] = random.byte(),
        2 => drop(bytes.drain(place..end)),
        3 => insert(bytes, place, random.pick(PIECES)),
        4 => drop(bytes.splice(place..end, random.pick(PIECES).iter().copied())),
        5 => {
            let piece = bytes[place..end].to_vec();
            insert(bytes, place, &piece.repeat(1 + random.below(4)));
        }
        6 if !other.is_empty() => {
            let start = random.below(other.len());
            let stop = (start + 1 + random.below(64)).min(other.len());
            insert(bytes, place, &other[start..stop]);
        }
        7 => bytes.truncate(place),
        _ => renumber(random, bytes, place),
    }
}

fn insert(bytes: &mut Vec<u8>, place: usize, piece: &[u8]) {
    bytes.splice(place..place, piece.iter().copied());
}

/// Puts another number in the place of the next one.
fn renumber(random: &mut Random, bytes: &mut Vec<u8>, from: usize) {
    let Some(start) = bytes.iter().skip(from).position(u8::is_ascii_digit).map(|start| from + start) else {
        return;
    };
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + digits, random.pick(&PIECES[..19]).iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..200).map(|_| mutate(&mut random, b"{\"a\":12}", b"other")).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn nothing_is_too_short_to_be_changed() {
        let mut random = Random::new(3);
        for _ in 0..2_000 {
            mutate(&mut random, b"", b"");
        }
    }
}
