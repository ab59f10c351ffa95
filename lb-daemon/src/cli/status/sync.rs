//! The copy of connections in two lines.

use std::collections::BTreeMap;

use crate::api::types::SyncStatus;

/// How it goes, and what was counted so far.
pub(super) fn lines(sync: &SyncStatus) -> Vec<String> {
    let mut lines = vec![now(sync)];
    lines.extend(counted(sync));
    lines
}

fn now(sync: &SyncStatus) -> String {
    let transfer = |percent: u8| format!("full transfer, {percent} %");
    match (sync.state.as_str(), sync.progress_percent, sync.behind_ms) {
        ("off", ..) => "off: connections are not copied".to_owned(),
        ("waiting", ..) => "waits for a role".to_owned(),
        ("alone", ..) => "no standby router is connected".to_owned(),
        ("connecting", ..) => {
            format!("NOT CONNECTED: {}", sync.detail.as_deref().unwrap_or("connecting to the active router"))
        }
        ("sending", _, Some(ms)) if sync.in_sync => format!("in sync: the peer is behind by {ms} ms at most"),
        ("sending", _, Some(ms)) => {
            format!("BEHIND by {ms} ms, {} records not acknowledged", sync.unacknowledged)
        }
        ("receiving", ..) if sync.in_sync => {
            "in sync: every connection of the active router is here".to_owned()
        }
        (_, Some(percent), _) => transfer(percent),
        (state, None, _) => state.to_owned(),
    }
}

/// `None` where nothing has happened yet.
fn counted(sync: &SyncStatus) -> Option<String> {
    let SyncStatus { sent, received, applied, .. } = sync;
    let mut parts = Vec::new();
    if *sent > 0 {
        parts.push(format!("sent {sent} records"));
    }
    if *received > 0 {
        parts.push(format!("received {received} records, applied {applied}"));
    }
    parts.extend(causes("refused", &sync.refused));
    parts.extend(causes("streams refused", &sync.rejected));
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn causes(label: &str, counts: &BTreeMap<String, u64>) -> Option<String> {
    let counts: Vec<_> = counts.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    (!counts.is_empty()).then(|| format!("{label}: {}", counts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_in_words() {
        let one = |state: &str, in_sync, progress_percent, behind_ms| {
            let state = state.to_owned();
            now(&SyncStatus {
                state,
                in_sync,
                progress_percent,
                behind_ms,
                unacknowledged: 7,
                ..SyncStatus::default()
            })
        };
        assert_eq!(one("off", true, None, None), "off: connections are not copied");
        assert_eq!(one("alone", true, None, None), "no standby router is connected");
        assert_eq!(one("sending", false, Some(43), None), "full transfer, 43 %");
        assert_eq!(one("sending", true, Some(100), Some(60)), "in sync: the peer is behind by 60 ms at most");
        assert_eq!(
            one("sending", false, Some(100), Some(2500)),
            "BEHIND by 2500 ms, 7 records not acknowledged"
        );
        assert_eq!(one("receiving", false, Some(9), None), "full transfer, 9 %");
        assert_eq!(
            one("receiving", true, Some(100), None),
            "in sync: every connection of the active router is here"
        );
        let refused = SyncStatus {
            state: "connecting".to_owned(),
            detail: Some("refused".to_owned()),
            ..SyncStatus::default()
        };
        assert_eq!(lines(&refused), ["NOT CONNECTED: refused"]);
    }

    #[test]
    fn what_was_refused_is_said_with_its_cause() {
        let sync = SyncStatus {
            received: 5,
            applied: 3,
            refused: BTreeMap::from([("table_full".to_owned(), 2)]),
            rejected: BTreeMap::from([("wrong_key".to_owned(), 1)]),
            ..SyncStatus::default()
        };
        let line = "received 5 records, applied 3; refused: table_full 2; streams refused: wrong_key 1";
        assert_eq!(counted(&sync).as_deref(), Some(line));
        assert_eq!(counted(&SyncStatus::default()), None);
    }
}
