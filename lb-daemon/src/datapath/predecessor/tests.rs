//! Tables of another layout in memory.

use std::{ops::Range, sync::Barrier, thread};

use lb_common::{
    ConnState,
    flow_table::{Client, Phase, Stamp},
};

use super::{
    super::{
        btf::Btf,
        carry::{
            Carry,
            tests::{NOW, Table as NewTable, client, established, half_open, key, real},
        },
        described::WORD,
        layout::sample::{BUCKET, ENTRY, FIELDS, FIRST, WAYS, describe, entry},
        *,
    },
    *,
};

mod kernel;

const WORDS: usize = BUCKET / WORD;
const BUCKETS: usize = 100;

#[test]
fn every_connection_comes_along() {
    let (from, to) = (OldTable::new(), NewTable::new(2048));
    for number in 0..600 {
        from.set(usize::from(number), key(client(number), 1), established(NOW - 5));
    }
    from.set(700, key(client(700), 1), half_open());
    from.set(701, key(client(701), 1), established(NOW).in_phase(Phase::Claimed));
    from.set(702, key(client(702), 9), established(NOW));
    let table = from.table();
    assert_eq!(carry(&table, &to).everything(), 601);
    for number in 0..600 {
        assert_eq!(to.find(key(client(number), 1)), [established(NOW - 5)], "{number}");
    }
    assert_eq!(to.find(key(client(700), 1)), [half_open()]);
    assert_eq!(to.count(), 601, "and nothing else");
    assert_eq!((Source::buckets(&table), table.capacity()), (BUCKETS, (BUCKETS * WAYS / 2) as u64));
}

#[test]
fn what_changes_meanwhile_comes_along_with_marks_and_without() {
    for marked in [true, false] {
        let (from, to) = (OldTable::new(), NewTable::new(2048));
        let table = Table { marks: marked.then_some(from.marks.as_slice()), ..from.table() };
        let [changed, made] = [1, 2].map(|number| key(client(number), 1));
        from.set(3, changed, half_open());
        let carry = carry(&table, &to);
        carry.everything();
        assert_eq!(carry.changes(), if marked { 0 } else { BUCKETS });
        from.set(3, changed, established(NOW));
        from.set(WAYS * (BUCKETS - 1), made, established(NOW));
        assert_eq!(carry.changes(), if marked { 2 } else { BUCKETS });
        for key in [changed, made] {
            assert_eq!(to.find(key), [established(NOW)], "{marked}");
        }
    }
}

/// As the program does it: nobody's, then the key, then the rest, at another time than ever before.
#[test]
fn what_is_being_written_is_not_taken_for_a_connection() {
    const ROUNDS: u32 = 100_000;
    let from = OldTable::new();
    let begin = Barrier::new(2);
    let shown = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            begin.wait();
            for round in 1..=ROUNDS {
                let meta = established(round);
                let key = key(Client::new([10; 4], round as u16), 1);
                write(&from.words, 0, key, meta.in_phase(Phase::Claimed), 0..1);
                write(&from.words, 0, key, meta, 1..ENTRY / WORD);
                write(&from.words, 0, key, meta, 0..1);
            }
        });
        begin.wait();
        let mut shown = 0;
        while !writer.is_finished() {
            from.table().connections(0, &mut |key, meta| {
                assert_eq!(u32::from(key.client().port()), meta.seen().number() & 0xffff);
                shown += 1;
            });
        }
        shown
    });
    from.table().connections(0, &mut |_, meta| assert_eq!(meta.seen(), Stamp::new(ROUNDS)));
    println!("{shown} of {ROUNDS} were read while they changed");
}

fn carry<'a>(from: &'a Table<'a>, to: &'a NewTable) -> Carry<'a> {
    Carry::new(from, to, to.clock().unwrap())
}

/// A table of the [sample](FIELDS) of a layout.
struct OldTable {
    layout: Layout,
    words: Vec<AtomicU64>,
    marks: Vec<SharedMarks>,
}

impl OldTable {
    fn new() -> Self {
        let (bytes, bucket) = describe(&FIELDS);
        Self {
            layout: Layout::of(&Btf::parse(&bytes).unwrap(), bucket, BUCKET as u32).unwrap(),
            words: (0..BUCKETS * WORDS).map(|_| AtomicU64::new(0)).collect(),
            marks: (0..BUCKETS.div_ceil(MARKS)).map(|_| SharedMarks::default()).collect(),
        }
    }

    fn table(&self) -> Table<'_> {
        let Self { layout, words, marks } = self;
        Table { layout, words, words_of_bucket: WORDS, marks: Some(marks) }
    }

    /// Writes an entry, counted through all buckets, and marks its bucket.
    fn set(&self, place: usize, key: Key, meta: Meta) {
        write(&self.words, place, key, meta, 0..ENTRY / WORD);
        mark(&self.marks, place / WAYS);
    }
}

/// Writes some words of an entry, counted through all buckets.
fn write(all: &[AtomicU64], place: usize, key: Key, meta: Meta, words: Range<usize>) {
    let first = place / WAYS * WORDS + FIRST / WORD + place % WAYS * ENTRY / WORD;
    let entry = entry(key, meta);
    for word in words {
        let octets = entry.as_chunks().0[word];
        all[first + word].store(u64::from_le_bytes(octets), Ordering::Release);
    }
}

fn mark(marks: &[SharedMarks], bucket: usize) {
    marks[bucket / MARKS].set(bucket % MARKS);
}
