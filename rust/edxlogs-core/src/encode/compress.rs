//! Text to compressed text.

use std::io::Write;

use flate2::write::GzEncoder;

use super::Compression;
use crate::error::{Error, Result};

/// Text being compressed, a stretch at a time.
pub enum Encoder<W: Write> {
    /// Not compressed.
    Plain(W),
    /// As a gzip member.
    Gzip(GzEncoder<W>),
    /// As a zstd frame.
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(output: W, compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(output),
            Compression::Gzip => Self::Gzip(GzEncoder::new(output, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(
                zstd::Encoder::new(output, zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(Error::encode)?,
            ),
        })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(output) => output.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
        .map_err(Error::encode)
    }

    /// Ends the member or frame.
    pub(crate) fn finish(self) -> Result<W> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
        .map_err(Error::encode)
    }
}
