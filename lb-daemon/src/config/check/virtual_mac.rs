//! `virtual_mac` of `[router]` and of `[[group]]`.

use std::time::Duration;

use humantime::format_duration;

use super::unique::Unique;
use crate::{
    config::{
        Announce,
        decode::{At, Field},
        errors::Report,
        raw,
        values::VirtualMac,
    },
    mac::Mac,
};

/// Time after which switches usually forget where a MAC address is (IEEE 802.1Q 8.8.3, the default of the ageing time).
const AGEING: Duration = Duration::from_secs(300);

/// Reports virtual MAC addresses that several groups have: two routers that are active for one each would fight over it.
pub(super) fn check(file: &raw::File, report: &mut Report) {
    let router = file.router.get().map(|router| &router.virtual_mac);
    if let Some(At { line, .. }) = router.and_then(Field::at).filter(|_| !file.group.items().is_empty()) {
        let what = "router.virtual_mac moves with no role where there are groups";
        report.wrong(line, what, "virtual_mac of a [[group]]");
    }
    let mut seen = Unique::new();
    for At { value: mac, line } in file.group.items().iter().filter_map(|group| group.value.virtual_mac.at())
    {
        if let Some(first) = seen.claim(mac.0, line) {
            let what = format!("group.virtual_mac {} is taken (line {first})", mac.0);
            report.wrong(line, what, "a virtual MAC address of its own");
        }
    }
}

/// Reports refreshes that come too seldom for switches to know where a virtual MAC address is.
pub(super) fn check_refresh(file: &raw::File, announce: &Announce, report: &mut Report) {
    let router = file.router.get().and_then(|router| router.virtual_mac.at());
    let group = file.group.items().iter().find_map(|group| group.value.virtual_mac.at());
    let Some(At { line, .. }) = router.or(group) else { return };
    if announce.refresh.is_none_or(|refresh| refresh >= AGEING) {
        let refresh = announce.refresh.unwrap_or_default();
        report.wrong(
            line,
            format_args!(
                "announce.refresh is {}, and a virtual MAC address needs it",
                format_duration(refresh)
            ),
            format_args!("a refresh before {}, when switches forget", format_duration(AGEING)),
        );
    }
}

/// What the key says; the outer `None` stands for a mistake.
pub(super) fn read(field: &Field<VirtualMac>) -> Option<Option<Mac>> {
    Some(field.optional()?.map(|mac| mac.0))
}
