//! What the tests share.

use lb_tests::lab::{self, Lab};

/// A laboratory without running routers; `None`, said loudly, where none can be built.
pub(crate) fn lab() -> Option<Lab> {
    if let Some(reason) = lab::missing() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(Lab::new().expect("the lab can be built"))
}
