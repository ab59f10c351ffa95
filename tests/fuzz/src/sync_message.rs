//! Messages of the copy of connections, and the records in them.

use lb_daemon::sync::{
    record::{LEN, Record},
    wire::{MAX_LEN, Message},
};

use crate::samples;

/// Whatever is understood is said and understood the same again.
pub fn check(data: &[u8]) {
    if let Ok(message) = Message::decode(data) {
        let again = message.encode();
        assert!(again.len() == data.len() && again.len() <= MAX_LEN);
        assert_eq!(Message::decode(&again), Ok(message));
    }
    let mut rest = data;
    if let Some(record) = Record::get(&mut rest) {
        assert_eq!(data.len() - rest.len(), LEN);
        let mut again = Vec::new();
        record.put(&mut again);
        assert_eq!(Record::get(&mut again.as_slice()), Some(record));
    }
}

/// A message of each kind, and records.
pub fn seeds() -> Vec<Vec<u8>> {
    let records = samples::records().into_iter().map(|record| {
        let mut bytes = Vec::new();
        record.put(&mut bytes);
        bytes
    });
    samples::messages().iter().map(|message| message.encode().to_vec()).chain(records).collect()
}
