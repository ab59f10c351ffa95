//! Loading past the verifier, which gives up when a signal arrives.

use std::io::ErrorKind;

use aya::programs::{ProgramError, Xdp};

/// How often an interrupted load is tried: `PROG_LOAD_ATTEMPTS` of libbpf (`tools/lib/bpf/bpf.c`).
const ATTEMPTS: u32 = 5;

/// Loads the program; again where the verifier was interrupted by a signal, as libbpf does.
///
/// # Errors
/// The kernel's refusal, or the last interruption of five.
pub(super) fn load(program: &mut Xdp) -> Result<(), ProgramError> {
    retry(|| program.load(), is_interruption)
}

/// `bpf_check` returns EAGAIN when a signal is pending (`kernel/bpf/verifier.c`).
fn is_interruption(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.kind() == ErrorKind::WouldBlock)
}

fn retry<E>(mut load: impl FnMut() -> Result<(), E>, is_interruption: impl Fn(&E) -> bool) -> Result<(), E> {
    for _ in 1..ATTEMPTS {
        match load() {
            Err(error) if is_interruption(&error) => {}
            result => return result,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTED: Result<(), ErrorKind> = Err(ErrorKind::WouldBlock);
    const REFUSED: Result<(), ErrorKind> = Err(ErrorKind::PermissionDenied);

    #[test]
    fn an_interrupted_load_is_tried_again() {
        assert_eq!(attempts(&[Ok(())]), (Ok(()), 1));
        assert_eq!(attempts(&[INTERRUPTED, INTERRUPTED, Ok(())]), (Ok(()), 3));
        assert_eq!(attempts(&[INTERRUPTED, REFUSED, Ok(())]), (REFUSED, 2));
    }

    #[test]
    fn it_is_given_up_some_time() {
        assert_eq!(attempts(&[INTERRUPTED; 9]), (INTERRUPTED, 5));
    }

    /// The outcome, and after how many attempts, where the kernel answers like this.
    fn attempts(answers: &[Result<(), ErrorKind>]) -> (Result<(), ErrorKind>, usize) {
        let mut made = 0;
        let load = || {
            made += 1;
            answers[made - 1]
        };
        (retry(load, |error| *error == ErrorKind::WouldBlock), made)
    }
}
