//! SHA3-256 (FIPS 202) of many short messages at once.
//!
//! The commitment to one event takes some sixty hashes that do not depend on each other, each of a single block. A
//! processor with wide registers permutes as many states at once as a register has words: eight with AVX-512, four with
//! AVX2. Elsewhere, and where there is too little to fill the registers with, the messages are hashed one by one.

use sha3::{Digest, Sha3_256};
use zeroize::Zeroizing;

/// Bytes of a message that one permutation takes in.
const RATE: usize = 136;
/// Words of the state, of 64 bits.
const WORDS: usize = 25;

/// Messages one after the other in one allocation.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// Some of them hold secrets.
    bytes: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
}

impl Messages {
    /// Room for `count` messages of some `length` bytes.
    pub(crate) fn with_capacity(count: usize, length: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(count * length)), ends: Vec::with_capacity(count) }
    }

    /// Adds the message that consists of these parts.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
    }

    /// Forgets the messages and keeps their room.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// The SHA3-256 of each message, in their order.
    pub(crate) fn sha3_256(&self) -> Vec<[u8; 32]> {
        let messages: Vec<&[u8]> = self.iter().collect();
        let mut hashes = vec![[0; 32]; messages.len()];
        wide::hash(&messages, &mut hashes);
        hashes
    }
}

fn one_by_one(messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
    for (message, hash) in messages.iter().zip(hashes) {
        *hash = Sha3_256::digest(message).into();
    }
}

/// How many permutations a message takes. Padding takes at least one byte.
fn blocks(message: &[u8]) -> usize {
    message.len() / RATE + 1
}

#[cfg(not(target_arch = "x86_64"))]
mod wide {
    pub(super) use super::one_by_one as hash;
}

#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::inline_always,
    reason = "only what is inlined into `run` is compiled for the wide registers"
)]
mod wide {
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, Simd};

    use super::{RATE, WORDS, blocks, one_by_one};

    /// As many lanes as the widest registers have.
    const MOST_LANES: usize = 8;

    pub(super) fn hash(messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
        if let Some(registers) = V4::try_new() {
            in_lanes(registers, messages, hashes);
        } else if let Some(registers) = V3::try_new() {
            in_lanes(registers, messages, hashes);
        } else {
            one_by_one(messages, hashes);
        }
    }

    /// What the registers of a processor can do that `pulp` does not have for all of them.
    trait Registers: Simd {
        fn rotate_left<const BITS: u8>(self, words: Self::u64s) -> Self::u64s;
        /// Runs `work` as a function that may use these registers.
        fn run(self, work: impl NullaryFnOnce<Output = ()>);
    }

    /// The registers of one kind, with rotations by all the distances that occur, each a constant of its instruction.
    macro_rules! registers {
        ($kind:ident, $left:ident, $right:ident, $($bits:literal)*) => {
            impl Registers for $kind {
                #[inline(always)]
                fn rotate_left<const BITS: u8>(self, words: Self::u64s) -> Self::u64s {
                    match BITS {
                        $($bits => self.xor_u64s(self.$left::<$bits>(words), self.$right::<{ 64 - $bits }>(words)),)*
                        _ => words,
                    }
                }

                fn run(self, work: impl NullaryFnOnce<Output = ()>) {
                    Self::vectorize(self, work);
                }
            }
        };
        ($($kind:ident, $left:ident, $right:ident;)*) => {
            $(registers!($kind, $left, $right, 1 2 3 6 8 10 14 15 18 20 21 25 27 28 36 39 41 43 44 45 55 56 61 62);)*
        };
    }

    registers!(V4, shl_const_u64x8, shr_const_u64x8; V3, shl_const_u64x4, shr_const_u64x4;);

    /// Hashes a group of messages at a time, a message a lane.
    fn in_lanes<R: Registers>(registers: R, messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
        for (messages, hashes) in messages.chunks(R::U64_LANES).zip(hashes.chunks_mut(R::U64_LANES)) {
            let all: usize = messages.iter().map(|message| blocks(message)).sum();
            let longest = messages.iter().map(|message| blocks(message)).max().unwrap_or(0);
            // All lanes cost together little more than one message alone.
            if all > longest {
                group(registers, messages, hashes, longest);
            } else {
                one_by_one(messages, hashes);
            }
        }
    }

    fn group<R: Registers>(registers: R, messages: &[&[u8]], hashes: &mut [[u8; 32]], longest: usize) {
        let lanes = R::U64_LANES;
        // Word by word, of each word all lanes.
        let mut state = [0; WORDS * MOST_LANES];
        let state = &mut state[..WORDS * lanes];
        for block in 0..longest {
            for (lane, message) in messages.iter().enumerate() {
                absorb(&mut state[lane..], lanes, message, block);
            }
            registers.run(Permute { registers, state });
            for (lane, (message, hash)) in messages.iter().zip(&mut *hashes).enumerate() {
                if blocks(message) == block + 1 {
                    for (bytes, word) in hash.chunks_exact_mut(8).zip(state[lane..].iter().step_by(lanes)) {
                        bytes.copy_from_slice(&word.to_le_bytes());
                    }
                }
            }
        }
    }

    /// Takes block number `block` of a message into its lane; nothing where the message has ended before.
    fn absorb(state: &mut [u64], lanes: usize, message: &[u8], block: usize) {
        let Some(rest) = message.get(block * RATE..) else { return };
        let mut last = [0; RATE];
        let bytes: &[u8] = if rest.len() >= RATE {
            &rest[..RATE]
        } else {
            last[..rest.len()].copy_from_slice(rest);
            last[rest.len()] = 0x06;
            last[RATE - 1] |= 0x80;
            &last
        };
        for (word, bytes) in state.iter_mut().step_by(lanes).zip(bytes.chunks_exact(8)) {
            let mut little = [0; 8];
            little.copy_from_slice(bytes);
            *word ^= u64::from_le_bytes(little);
        }
    }

    struct Permute<'a, R> {
        registers: R,
        state: &'a mut [u64],
    }

    impl<R: Registers> NullaryFnOnce for Permute<'_, R> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (state, _) = R::as_mut_simd_u64s(self.state);
            if let Some(state) = state.first_chunk_mut() {
                permute(self.registers, state);
            }
        }
    }

    /// Round constants (FIPS 202, algorithm 5).
    const CONSTANTS: [u64; 24] = [
        0x0000_0000_0000_0001,
        0x0000_0000_0000_8082,
        0x8000_0000_0000_808a,
        0x8000_0000_8000_8000,
        0x0000_0000_0000_808b,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8009,
        0x0000_0000_0000_008a,
        0x0000_0000_0000_0088,
        0x0000_0000_8000_8009,
        0x0000_0000_8000_000a,
        0x0000_0000_8000_808b,
        0x8000_0000_0000_008b,
        0x8000_0000_0000_8089,
        0x8000_0000_0000_8003,
        0x8000_0000_0000_8002,
        0x8000_0000_0000_0080,
        0x0000_0000_0000_800a,
        0x8000_0000_8000_000a,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8080,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8008,
    ];

    /// Keccak-p[1600, 24] of the states in all lanes (FIPS 202, section 3.3).
    #[inline(always)]
    fn permute<R: Registers>(r: R, state: &mut [R::u64s; WORDS]) {
        let xor = |a, b| r.xor_u64s(a, b);
        let mut s = *state;
        for constant in CONSTANTS {
            // θ
            let columns: [R::u64s; 5] =
                std::array::from_fn(|x| xor(xor(xor(s[x], s[x + 5]), xor(s[x + 10], s[x + 15])), s[x + 20]));
            for x in 0..5 {
                let sum = xor(columns[(x + 4) % 5], r.rotate_left::<1>(columns[(x + 1) % 5]));
                for y in 0..5 {
                    s[x + 5 * y] = xor(s[x + 5 * y], sum);
                }
            }
            // ρ and π
            let b = [
                [
                    s[0],
                    r.rotate_left::<44>(s[6]),
                    r.rotate_left::<43>(s[12]),
                    r.rotate_left::<21>(s[18]),
                    r.rotate_left::<14>(s[24]),
                ],
                [
                    r.rotate_left::<28>(s[3]),
                    r.rotate_left::<20>(s[9]),
                    r.rotate_left::<3>(s[10]),
                    r.rotate_left::<45>(s[16]),
                    r.rotate_left::<61>(s[22]),
                ],
                [
                    r.rotate_left::<1>(s[1]),
                    r.rotate_left::<6>(s[7]),
                    r.rotate_left::<25>(s[13]),
                    r.rotate_left::<8>(s[19]),
                    r.rotate_left::<18>(s[20]),
                ],
                [
                    r.rotate_left::<27>(s[4]),
                    r.rotate_left::<36>(s[5]),
                    r.rotate_left::<10>(s[11]),
                    r.rotate_left::<15>(s[17]),
                    r.rotate_left::<56>(s[23]),
                ],
                [
                    r.rotate_left::<62>(s[2]),
                    r.rotate_left::<55>(s[8]),
                    r.rotate_left::<39>(s[14]),
                    r.rotate_left::<41>(s[15]),
                    r.rotate_left::<2>(s[21]),
                ],
            ];
            // χ
            for (y, row) in b.iter().enumerate() {
                for x in 0..5 {
                    let and = r.and_u64s(r.not_u64s(row[(x + 1) % 5]), row[(x + 2) % 5]);
                    s[5 * y + x] = xor(row[x], and);
                }
            }
            // ι
            s[0] = xor(s[0], r.splat_u64s(constant));
        }
        *state = s;
    }

    #[cfg(test)]
    pub(super) mod tests {
        use super::*;

        /// Hashes with each kind of registers that this processor has.
        pub(in super::super) fn with_all(messages: &[&[u8]]) -> Vec<Vec<[u8; 32]>> {
            let mut all = Vec::new();
            if let Some(registers) = V4::try_new() {
                let mut hashes = vec![[0; 32]; messages.len()];
                in_lanes(registers, messages, &mut hashes);
                all.push(hashes);
            }
            if let Some(registers) = V3::try_new() {
                let mut hashes = vec![[0; 32]; messages.len()];
                in_lanes(registers, messages, &mut hashes);
                all.push(hashes);
            }
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(messages: &[Vec<u8>]) {
        let mut many = Messages::default();
        for message in messages {
            let (head, tail) = message.split_at(message.len() / 3);
            many.push(&[head, tail]);
        }
        let expected: Vec<[u8; 32]> =
            messages.iter().map(|message| Sha3_256::digest(message).into()).collect();
        assert_eq!(many.sha3_256(), expected);
        #[cfg(target_arch = "x86_64")]
        for hashes in wide::tests::with_all(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>()) {
            assert_eq!(hashes, expected);
        }
    }

    #[test]
    fn every_length_around_the_ends_of_blocks_is_right() {
        let message = |length: usize| (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
        check(&(0..300).map(message).collect::<Vec<_>>());
        check(&[]);
    }

    #[test]
    fn one_long_message_among_short_ones_is_right() {
        check(&[vec![], vec![1; 5_000], vec![2; 3], vec![3; 136], vec![4; 271]]);
        check(&[vec![5; 1_000], vec![6; 900], vec![7; 800], vec![8; 10], vec![9; 1_100]]);
    }

    proptest! {
        #[test]
        fn messages_have_the_hash_that_each_has_alone(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..420), 0..40)) {
            check(&messages);
        }
    }
}
