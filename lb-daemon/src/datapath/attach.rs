//! Attaches the program to interfaces by links that are pinned, and so outlive the daemon.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, LinkError, PinnedLink},
    xdp::{XdpError, XdpLink},
};

use super::{Error, link_info, pins, pins::Pins, syscall};

/// How the program is attached, by interface, and what the operator should know.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    /// `"native"` or `"generic"` by interface.
    pub(super) modes: BTreeMap<String, &'static str>,
    /// Lines for the operator.
    pub(super) notices: Vec<String>,
}

/// Checks that no interface runs a program that is not behind one of our pins, before anything is loaded.
///
/// # Errors
/// At the first one that does.
pub(super) fn refuse_foreign(pins: &Pins, interfaces: &BTreeMap<String, u32>) -> Result<(), Error> {
    // By index: an interface may have another name by now.
    let ours = pins.linked_interfaces()?;
    let ours: BTreeSet<u32> =
        ours.iter().filter_map(|name| syscall::link_ifindex(&pins.link(name)).ok()).collect();
    for (interface, &ifindex) in interfaces {
        let runs = link_info::attached(ifindex).is_ok_and(|attached| attached.program.is_some());
        if runs && !ours.contains(&ifindex) {
            return Err(Error::Setup(taken(interface, ifindex)));
        }
    }
    Ok(())
}

/// Attaches the program to each of `interfaces`, in place of its older version where that runs, and detaches it from
/// all others.
///
/// # Errors
/// At the first interface that does not take it; those before it keep it, for the caller to decide.
pub(super) fn attach_all(
    program: &mut Xdp,
    pins: &Pins,
    interfaces: &BTreeMap<String, u32>,
) -> Result<Attachment, Error> {
    let mut done = Attachment::default();
    // First, for one of them may be an interface that has a new name now.
    for interface in pins.linked_interfaces()? {
        if !interfaces.contains_key(&interface) {
            pins::remove_link(&pins.link(&interface))?;
            done.notices.push(format!("{interface} is no longer configured: detached"));
        }
    }
    for (interface, &ifindex) in interfaces {
        attach(program, pins, interface, ifindex, &mut done)?;
    }
    Ok(done)
}

/// Puts the program in the place of the one that runs on each of `interfaces`. One that was removed meanwhile has none.
///
/// # Errors
/// At the first interface that does not take it.
pub(super) fn replace_all(
    program: &mut Xdp,
    pins: &Pins,
    interfaces: &BTreeMap<String, u32>,
) -> Result<(), Error> {
    for (interface, &ifindex) in interfaces {
        let path = pins.link(interface);
        if syscall::link_ifindex(&path).is_ok_and(|attached_to| attached_to == ifindex) {
            replace(program, &path).map_err(|error| not_replaced(interface, &error))?;
        }
    }
    Ok(())
}

fn attach(
    program: &mut Xdp,
    pins: &Pins,
    interface: &str,
    ifindex: u32,
    done: &mut Attachment,
) -> Result<(), Error> {
    let path = pins.link(interface);
    if is_linked(&path, interface, ifindex, &mut done.notices)? {
        replace(program, &path).map_err(|error| not_replaced(interface, &error))?;
    } else {
        let link = attach_anew(program, interface, ifindex, &mut done.notices)?;
        link.pin(&path)
            .map_err(|error| Error::Setup(format!("the link to {interface} cannot be pinned: {error}")))?;
    }
    let attached =
        link_info::attached(ifindex).map_err(|error| Error::Setup(format!("{interface}: {error}")))?;
    done.modes.insert(interface.to_owned(), attached.mode.unwrap_or("generic"));
    Ok(())
}

/// Whether a link is pinned that is attached to this very interface. One that is not is removed.
fn is_linked(path: &Path, interface: &str, ifindex: u32, notices: &mut Vec<String>) -> Result<bool, Error> {
    if !path.exists() {
        return Ok(false);
    }
    let attached_to = syscall::link_ifindex(path)
        .map_err(|error| Error::Setup(format!("the link pinned at {}: {error}", path.display())))?;
    if attached_to != ifindex {
        pins::remove_link(path)?;
        notices.push(format!("{interface} was removed and made anew: attached again"));
    }
    Ok(attached_to == ifindex)
}

/// Puts the program in the place of the one that runs behind a pinned link, in one step: each packet meets one of the
/// two.
fn replace(program: &mut Xdp, path: &Path) -> Result<(), ProgramError> {
    let link = FdLink::from(PinnedLink::from_pin(path).map_err(link_failure)?);
    let id = program.attach_to_link(XdpLink::try_from(link).map_err(link_failure)?)?;
    // The pin holds the link; ours may be closed.
    drop(program.take_link(id)?);
    Ok(())
}

fn not_replaced(interface: &str, error: &ProgramError) -> Error {
    Error::Setup(format!("the program on {interface} cannot be replaced: {}", one_line(error)))
}

/// Attaches natively, or generically where the driver cannot.
fn attach_anew(
    program: &mut Xdp,
    interface: &str,
    ifindex: u32,
    notices: &mut Vec<String>,
) -> Result<FdLink, Error> {
    let native = match link(program, ifindex, XdpMode::Driver) {
        Ok(link) => return Ok(link),
        Err(error) => error,
    };
    refuse_hopeless(&native, interface, ifindex)?;
    let generic = link(program, ifindex, XdpMode::Skb);
    let link = generic.or_else(|error| {
        refuse_hopeless(&error, interface, ifindex)?;
        Err(Error::Setup(format!(
            "{interface} takes the XDP program neither natively ({}) nor generically ({})",
            one_line(&native),
            one_line(&error)
        )))
    })?;
    notices.push(format!(
        "{interface}: its driver does not run XDP natively ({}); GENERIC mode is in use, which is several times slower",
        one_line(&native)
    ));
    Ok(link)
}

fn link(program: &mut Xdp, ifindex: u32, mode: XdpMode) -> Result<FdLink, ProgramError> {
    let id = program.attach_to_if_index(ifindex, mode)?;
    // aya attaches without a link where the kernel has none for XDP; all kernels since 5.9 have them.
    FdLink::try_from(program.take_link(id)?).map_err(link_failure)
}

/// Errors that the other mode would meet as well, each in its own words.
fn refuse_hopeless(error: &ProgramError, interface: &str, ifindex: u32) -> Result<(), Error> {
    match errno(error) {
        Some(libc::EBUSY | libc::EEXIST) => Err(Error::Setup(taken(interface, ifindex))),
        Some(libc::ENODEV) => Err(Error::Setup(format!("there is no interface {interface}"))),
        Some(libc::EPERM) => Err(Error::Setup(format!("{interface}: not allowed to attach an XDP program"))),
        _ => Ok(()),
    }
}

fn taken(interface: &str, ifindex: u32) -> String {
    let program = link_info::attached(ifindex).ok().and_then(|attached| attached.program);
    let id = program.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    format!(
        "{interface} already runs another XDP program (id {id}): see `bpftool net show dev {interface}` and \
         `bpftool prog show id {id}`, and detach it first"
    )
}

fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    }
}

/// What the kernel said, without aya's words around it.
fn one_line(error: &ProgramError) -> String {
    match errno(error) {
        Some(number) => std::io::Error::from_raw_os_error(number).to_string(),
        None => error.to_string(),
    }
}

fn link_failure(error: LinkError) -> ProgramError {
    match error {
        LinkError::SyscallError(error) => ProgramError::SyscallError(error),
        LinkError::InvalidLink | LinkError::UnknownLinkType(_) => ProgramError::UnexpectedProgramType,
    }
}
