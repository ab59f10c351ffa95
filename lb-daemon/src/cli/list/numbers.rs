//! The five number columns of `ipvsadm --stats` and `--rate`: connections, packets in and out, octets in and out.

use crate::api::types::RealStatus;

/// Totals of these real servers together.
pub(super) fn totals<'a>(reals: impl IntoIterator<Item = &'a RealStatus>, exact: bool) -> String {
    let sum = reals.into_iter().fold([0_u64; 5], |[a, b, c, d, e], RealStatus { totals: more, .. }| {
        [
            a.saturating_add(more.connections),
            b.saturating_add(more.in_packets),
            c.saturating_add(more.out_packets),
            d.saturating_add(more.in_bytes),
            e.saturating_add(more.out_bytes),
        ]
    });
    cells(sum, exact)
}

/// Rates of these real servers together; rounded once, as the kernel does.
pub(super) fn rates<'a>(reals: impl IntoIterator<Item = &'a RealStatus>, exact: bool) -> String {
    let sum = reals.into_iter().fold([0.0; 5], |[a, b, c, d, e], RealStatus { rates: more, .. }| {
        [
            a + more.connections,
            b + more.in_packets,
            c + more.out_packets,
            d + more.in_bytes,
            e + more.out_bytes,
        ]
    });
    // The conversion saturates: a rate is never negative, and none is near 2^64.
    cells(sum.map(|rate| rate.round() as u64), exact)
}

fn cells(row: [u64; 5], exact: bool) -> String {
    row.map(|number| cell(number, exact)).concat()
}

/// A blank and eight columns. Numbers of nine digits and more are cut to thousands, millions and so on; with `exact`
/// they make the column wider instead.
fn cell(number: u64, exact: bool) -> String {
    match number {
        _ if exact => format!(" {number:>8}"),
        0..100_000_000 => format!("{number:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", number / 1000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", number / 1_000_000),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", number / 1_000_000_000),
        _ => format!("{:>8}T", number / 1_000_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_cut_where_ipvsadm_cuts_them() {
        let cases = [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (180_180_120, "  180180K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
            (u64::MAX, "18446744T"),
        ];
        for (number, expected) in cases {
            assert_eq!(cell(number, false), expected);
        }
    }

    #[test]
    fn exact_numbers_keep_one_blank_between_columns() {
        assert_eq!(cell(42, true), "       42");
        assert_eq!(cell(99_999_999, true), " 99999999");
        assert_eq!(cell(180_180_120, true), " 180180120");
    }
}
