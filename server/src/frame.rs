//! Messages on a stream: the length in four bytes, then so many bytes of postcard. A length beyond
//! the bound is refused before anything is kept.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message, in bytes: an answer that names a hundred thousand outputs fits.
pub const LONGEST: usize = 64 << 20;

/// Why a message could not be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end is gone.
    #[error("the other end has gone")]
    Gone,
    /// A length beyond [`LONGEST`].
    #[error("a message of {0} bytes is longer than any")]
    Long(usize),
    /// The bytes are no such message.
    #[error("a message that makes no sense: {0}")]
    Nonsense(#[from] postcard::Error),
}

/// A message as it is sent.
///
/// # Errors
/// When it is too long.
pub fn pack(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let bytes = postcard::to_extend(message, vec![0; 4])?;
    let len = bytes.len() - 4;
    if len > LONGEST {
        return Err(FrameError::Long(len));
    }
    let mut bytes = bytes;
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(bytes)
}

/// Sends a message.
///
/// # Errors
/// When the stream fails or the message is too long.
pub fn send(stream: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    stream.write_all(&pack(message)?)?;
    Ok(())
}

/// Receives a message.
///
/// # Errors
/// When the stream fails, or what comes is no message.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> Result<T, FrameError> {
    let mut len = [0; 4];
    fill(stream, &mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > LONGEST {
        return Err(FrameError::Long(len));
    }
    // Not all at once: a length is no reason yet to set so much aside.
    let mut bytes = Vec::with_capacity(len.min(1 << 16));
    if stream.take(len as u64).read_to_end(&mut bytes)? < len {
        return Err(FrameError::Gone);
    }
    Ok(postcard::from_bytes(&bytes)?)
}

fn fill(stream: &mut impl Read, bytes: &mut [u8]) -> Result<(), FrameError> {
    stream.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Gone,
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_and_rubbish_is_refused() {
        let message = (7u32, "seven".to_owned(), vec![1u8, 2, 3]);
        let mut bytes = pack(&message).expect("packs");
        let back: (u32, String, Vec<u8>) = receive(&mut bytes.as_slice()).expect("a message");
        assert_eq!(back, message);
        bytes.pop();
        let cut = receive::<(u32, String, Vec<u8>)>(&mut bytes.as_slice());
        assert!(matches!(cut, Err(FrameError::Gone)), "{cut:?}");
        let long = receive::<String>(&mut [255u8; 64].as_slice());
        assert!(matches!(long, Err(FrameError::Long(_))), "{long:?}");
        let mut nonsense = 3u32.to_le_bytes().to_vec();
        nonsense.extend([200, 200, 200]);
        let nonsense = receive::<String>(&mut nonsense.as_slice());
        assert!(matches!(nonsense, Err(FrameError::Nonsense(_))), "{nonsense:?}");
    }
}
