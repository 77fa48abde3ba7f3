//! Keys on their way from one gpg-agent to another, which wrap them each in its own way.
//!
//! Source: RFC 3394, with AES-128.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use crate::errors::config;

const HALF: usize = 8;
const SIGN: [u8; HALF] = [0xA6; HALF];

/// Unwraps a key and wraps it anew, so that it is never seen; described in `_core.pyi`.
#[pyfunction]
pub fn rewrap_key<'py>(
    py: Python<'py>,
    wrapped: &[u8],
    old: &[u8],
    new: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let cipher = |key: &[u8]| {
        Aes128::new_from_slice(key)
            .map_err(|_| config("gpg-agent: its wrapping key is not AES-128"))
    };
    let (old, new) = (cipher(old)?, cipher(new)?);
    if wrapped.len() < 3 * HALF || !wrapped.len().is_multiple_of(HALF) {
        return Err(config("gpg-agent: what it gave is not a wrapped key"));
    }
    let mut key = Zeroizing::new(wrapped.to_vec());
    unwrap(&old, &mut key);
    if key[..HALF] != SIGN {
        return Err(config("gpg-agent: what it gave cannot be unwrapped"));
    }
    wrap(&new, &mut key);
    Ok(PyBytes::new(py, &key))
}

/// The steps of wrapping: a half block of the text, and the number that goes with it.
fn steps(len: usize) -> impl DoubleEndedIterator<Item = (usize, u64)> {
    let halves = len / HALF - 1;
    (0..6 * halves).map(move |step| ((step % halves + 1) * HALF, step as u64 + 1))
}

fn wrap(cipher: &Aes128, text: &mut [u8]) {
    let mut block = Zeroizing::new([0; 2 * HALF]);
    for (at, number) in steps(text.len()) {
        block[..HALF].copy_from_slice(&text[..HALF]);
        block[HALF..].copy_from_slice(&text[at..at + HALF]);
        cipher.encrypt_block(Array::cast_from_core_mut(&mut block));
        text[..HALF].copy_from_slice(&block[..HALF]);
        count(text, number);
        text[at..at + HALF].copy_from_slice(&block[HALF..]);
    }
}

fn unwrap(cipher: &Aes128, text: &mut [u8]) {
    let mut block = Zeroizing::new([0; 2 * HALF]);
    for (at, number) in steps(text.len()).rev() {
        count(text, number);
        block[..HALF].copy_from_slice(&text[..HALF]);
        block[HALF..].copy_from_slice(&text[at..at + HALF]);
        cipher.decrypt_block(Array::cast_from_core_mut(&mut block));
        text[..HALF].copy_from_slice(&block[..HALF]);
        text[at..at + HALF].copy_from_slice(&block[HALF..]);
    }
}

/// Mixes the number of a step into the first half block.
fn count(text: &mut [u8], number: u64) {
    for (byte, counted) in text.iter_mut().zip(number.to_be_bytes()) {
        *byte ^= counted;
    }
}
