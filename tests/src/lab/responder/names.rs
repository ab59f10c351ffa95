//! An exchange in which every message of the server carries its name, so that no byte of one connection can come from
//! another server unnoticed. All of it in words of eight bytes, for speed:
//!
//! ```text
//! server  name                 once connected
//! client  number               any times
//! server  name number          after each; then closes, if the number has LAST
//! ```

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A name, or a number.
pub type Word = [u8; 8];

/// In a number: the server closes after its answer.
pub const LAST: u64 = 1 << 63;

/// A server's name as a word: filled up with zeros, and cut where it is too long.
pub fn padded(name: &str) -> Word {
    let mut word = [0; 8];
    for (place, byte) in word.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    word
}

/// The name in a word.
pub fn name(word: Word) -> String {
    String::from_utf8_lossy(&word).trim_end_matches('\0').to_owned()
}

/// The server's part, until the client closes or says [`LAST`].
///
/// # Errors
/// When the connection is cut.
pub async fn serve(mut stream: TcpStream, name: Word) -> io::Result<()> {
    // The first answer would wait for the acknowledgement of the greeting.
    stream.set_nodelay(true)?;
    stream.write_all(&name).await?;
    let mut answer = [name, [0; 8]].concat();
    loop {
        let mut number = [0; 8];
        match stream.read_exact(&mut number).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        answer[8..].copy_from_slice(&number);
        stream.write_all(&answer).await?;
        if u64::from_be_bytes(number) & LAST != 0 {
            return Ok(());
        }
    }
}

/// The client's part after connecting: who greets.
///
/// # Errors
/// When the connection is cut.
pub async fn greeted(stream: &mut TcpStream) -> io::Result<Word> {
    let mut name = [0; 8];
    stream.read_exact(&mut name).await?;
    Ok(name)
}

/// The client's part: says `number`, and returns who answers it.
///
/// # Errors
/// When the connection is cut, or the answer is to something else.
pub async fn asked(stream: &mut TcpStream, number: u64) -> io::Result<Word> {
    let number = number.to_be_bytes();
    stream.write_all(&number).await?;
    let (mut name, mut echo) = ([0; 8], [0; 8]);
    stream.read_exact(&mut name).await?;
    stream.read_exact(&mut echo).await?;
    match echo == number {
        true => Ok(name),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to somebody else")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_words() {
        for text in ["n1", "", "eight888"] {
            assert_eq!(name(padded(text)), text);
        }
        assert_eq!(name(padded("far-too-long")), "far-too-");
    }
}
