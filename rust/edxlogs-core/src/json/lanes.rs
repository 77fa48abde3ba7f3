//! Sixteen bytes, or 64, compared at once: a bit for each byte, the first lowest.

/// How many bytes are compared.
pub const LANES: usize = 16;

/// Which bytes are that one.
#[inline(always)]
pub fn equal(bytes: &[u8; LANES], byte: u8) -> u16 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        sse2::equal(bytes, byte)
    }
    #[cfg(not(target_arch = "x86_64"))]
    portable::equal(bytes, byte)
}

/// Which bytes are control characters: below 0x20.
#[inline(always)]
pub fn control(bytes: &[u8; LANES]) -> u16 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        sse2::control(bytes)
    }
    #[cfg(not(target_arch = "x86_64"))]
    portable::control(bytes)
}

/// What a search says of each sixteen of 64 bytes.
#[inline(always)]
pub fn each(bytes: &[u8; 64], search: impl Fn(&[u8; LANES]) -> u16) -> u64 {
    let parts = bytes.as_chunks().0.iter().rev();
    parts.fold(0, |found, part| found << LANES | u64::from(search(part)))
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::*;

    use super::LANES;

    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn equal(bytes: &[u8; LANES], byte: u8) -> u16 {
        mask(_mm_cmpeq_epi8(load(bytes), _mm_set1_epi8(byte.cast_signed())))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn control(bytes: &[u8; LANES]) -> u16 {
        let bytes = load(bytes);
        mask(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8; LANES]) -> __m128i {
        let whole = u128::from_le_bytes(*bytes);
        _mm_set_epi64x((whole >> 64) as i64, whole as i64)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn mask(lanes: __m128i) -> u16 {
        _mm_movemask_epi8(lanes) as u16
    }
}

/// The same, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::LANES;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

    pub fn equal(bytes: &[u8; LANES], byte: u8) -> u16 {
        masks(bytes, |word| zero(word ^ (ONES * u64::from(byte))))
    }

    pub fn control(bytes: &[u8; LANES]) -> u16 {
        masks(bytes, |word| zero(word & (ONES * 0xe0)))
    }

    /// The high bit of each byte that is 0.
    fn zero(word: u64) -> u64 {
        !(((word & LOW) + LOW) | word | LOW)
    }

    /// Of high bits, one for each byte.
    fn masks(bytes: &[u8; LANES], high: impl Fn(u64) -> u64) -> u16 {
        let whole = u128::from_le_bytes(*bytes);
        let half = |word| ((high(word) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u16;
        half(whole as u64) | half((whole >> 64) as u64) << 8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_those_of_each_byte(
            text in proptest::collection::vec(prop_oneof![0_u8..0x24, Just(b'\\'), any::<u8>()], LANES),
            byte in prop_oneof![0_u8..0x24, Just(b'\\'), any::<u8>()],
        ) {
            let bits = |is: &dyn Fn(u8) -> bool| {
                text.iter().enumerate().map(|(at, &byte)| u16::from(is(byte)) << at).sum::<u16>()
            };
            let bytes = text.as_slice().try_into().expect("as many");
            let (same, low) = (bits(&|other| other == byte), bits(&|other| other < 0x20));
            prop_assert_eq!(equal(bytes, byte), same);
            prop_assert_eq!(portable::equal(bytes, byte), same);
            prop_assert_eq!(control(bytes), low);
            prop_assert_eq!(portable::control(bytes), low);
        }

        #[test]
        fn sixteens_are_joined_in_order(text in proptest::collection::vec(0_u8..3, 64)) {
            let bytes = text.as_slice().try_into().expect("as many");
            let found = each(bytes, |part| equal(part, 1));
            for (at, &byte) in text.iter().enumerate() {
                prop_assert_eq!(found >> at & 1 == 1, byte == 1);
            }
        }
    }
}
