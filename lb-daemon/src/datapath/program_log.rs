//! The XDP program's log, passed on to the daemon's.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::AbortHandle,
};

/// A running task that reads the log; it ends with this value.
#[derive(Debug)]
pub(super) struct ProgramLog(AbortHandle);

impl ProgramLog {
    /// Starts reading. An error is a notice for the operator: the data plane works without its log.
    pub(super) fn start(ebpf: &mut Ebpf) -> Result<Self, String> {
        let failed =
            |reason: &dyn std::fmt::Display| format!("the XDP program's log cannot be read: {reason}");
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| failed(&error))?;
        let logger = EbpfLogger::init(ebpf).map_err(|error| failed(&error))?;
        let guard = runtime.enter();
        // SAFETY: the logger owns the descriptor of its ring buffer, returns the same one always, and closes it only
        // when it is dropped, which `AsyncFd` does after it has deregistered it.
        let registered = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        let mut logger = registered.map_err(|error| failed(&error))?;
        drop(guard);
        let task = runtime.spawn(async move {
            while let Ok(mut ready) = logger.readable_mut().await {
                // Everything there is first: the ring buffer wakes its reader once for all of it.
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        });
        Ok(Self(task.abort_handle()))
    }
}

impl Drop for ProgramLog {
    fn drop(&mut self) {
        self.0.abort();
    }
}
