//! Questions to the kernel, and its notifications, each on a socket of their own: a notification that overruns the
//! buffer can then not take the answer to a question along.

use std::{future::Future, net::Ipv4Addr, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressMessage,
    link::LinkMessage,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
};
use rtnetlink::{
    Handle, MulticastGroup, RouteMessageBuilder,
    packet_core::{NetlinkMessage, NetlinkPayload},
};
use tokio::task::AbortHandle;

use super::{
    Error,
    snapshot::{self, Hop, OWNER},
};

/// Time the kernel may take to answer; it answers within the system call, so only a broken socket takes longer.
const ANSWER: Duration = Duration::from_secs(5);

/// Aborts its task when dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    /// Starts a task that lives no longer than the returned value.
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks the kernel.
pub(crate) struct Requests {
    handle: Handle,
    _connection: Task,
}

impl Requests {
    /// Opens a socket.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub(crate) fn open() -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(Error::Open)?;
        Ok(Self { handle, _connection: Task::spawn(connection) })
    }

    /// All links.
    pub(crate) async fn links(&self) -> Result<Vec<LinkMessage>, Error> {
        collect("read the links", self.handle.link().get().execute()).await
    }

    /// All IPv4 addresses.
    pub(crate) async fn addresses(&self) -> Result<Vec<AddressMessage>, Error> {
        let mut request = self.handle.address().get();
        request.message_mut().header.family = AddressFamily::Inet;
        collect("read the addresses", request.execute()).await
    }

    /// The IPv4 neighbour table.
    pub(crate) async fn neighbours(&self) -> Result<Vec<NeighbourMessage>, Error> {
        let request = self.handle.neighbours().get().set_address_family(AddressFamily::Inet);
        collect("read the neighbours", request.execute()).await
    }

    /// The neighbour that packets to `target` are handed to; `None` where no route leads there.
    pub(crate) async fn route(&self, target: Ipv4Addr) -> Result<Option<Hop>, Error> {
        let message = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(target, 32).build();
        match collect("look up a route", self.handle.route().get(message).execute()).await {
            Ok(answers) => Ok(answers.first().and_then(|answer| snapshot::hop(target, answer))),
            // ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL: no route, an unreachable, prohibit or blackhole one.
            Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the kernel resolve a neighbour and keep it resolved: a managed entry. `NTF_USE` beside it resolves once on
    /// kernels before 5.16, which ignore the managed flag. Marked as learned, the entry is neither collected nor
    /// counted against the size of the table (`gc_thresh3`).
    pub(crate) async fn keep(&self, hop: Hop) -> Result<(), Error> {
        let mut request = self
            .handle
            .neighbours()
            .add(hop.ifindex, hop.address.into())
            .state(NeighbourState::None)
            .flags(NeighbourFlags::Use | NeighbourFlags::ExtLearned)
            .replace();
        let attributes = &mut request.message_mut().attributes;
        attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        attributes.push(NeighbourAttribute::Protocol(OWNER));
        done(format!("resolve {}", hop.address), request.execute()).await
    }

    /// Deletes a neighbour entry. The kernel makes a plain one again when it needs it.
    pub(crate) async fn release(&self, hop: Hop) -> Result<(), Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = hop.ifindex;
        message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(hop.address)));
        let request = self.handle.neighbours().del(message);
        done(format!("forget neighbour {}", hop.address), request.execute()).await
    }

    /// Has an interface receive what is addressed to another MAC address than its own: a secondary unicast address. Nothing happens
    /// where it does already.
    pub(crate) async fn add_mac(&self, action: String, ifindex: u32, mac: [u8; 6]) -> Result<(), Error> {
        let mut request = self.handle.neighbours().add_bridge(ifindex, &mac).replace();
        *request.message_mut() = own_entry(ifindex, mac);
        done(action, request.execute()).await
    }

    /// The opposite.
    pub(crate) async fn remove_mac(&self, action: String, ifindex: u32, mac: [u8; 6]) -> Result<(), Error> {
        done(action, self.handle.neighbours().del(own_entry(ifindex, mac)).execute()).await
    }

    /// Adds an address.
    pub(crate) async fn add_address(&self, action: String, message: AddressMessage) -> Result<(), Error> {
        let mut request = self.handle.address().add(message.header.index, Ipv4Addr::UNSPECIFIED.into(), 32);
        *request.message_mut() = message;
        done(action, request.execute()).await
    }

    /// Removes an address.
    pub(crate) async fn remove_address(&self, action: String, message: AddressMessage) -> Result<(), Error> {
        done(action, self.handle.address().del(message).execute()).await
    }
}

/// The entry of an interface's own forwarding table that stands for a secondary unicast address (`ndo_dflt_fdb_add` in
/// net/core/rtnetlink.c).
fn own_entry(ifindex: u32, mac: [u8; 6]) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = ifindex;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    message
}

/// What a notification says.
#[derive(Debug)]
pub(crate) enum Event {
    /// A neighbour entry is new or has changed, or is gone.
    Neighbour(NeighbourMessage, Presence),
    /// Links, addresses, routes or rules have changed, or notifications were lost.
    Other,
}

/// Whether the subject of a notification is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is.
    Present,
    /// It was.
    Gone,
}

/// Notifications of links, IPv4 addresses, routes, rules and neighbours.
pub(crate) struct Events {
    messages: std::pin::Pin<Box<dyn Stream<Item = Event> + Send + Sync>>,
    _connection: Task,
}

impl Events {
    /// Subscribes.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub(crate) fn open() -> Result<Self, Error> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
        ];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups).map_err(Error::Open)?;
        let messages = messages.map(|(message, _)| event(message));
        Ok(Self { messages: Box::pin(messages), _connection: Task::spawn(connection) })
    }

    /// The next notification; `None` when the socket has failed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.messages.next().await
    }
}

fn event(message: NetlinkMessage<RouteNetlinkMessage>) -> Event {
    match message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(neighbour)) => {
            Event::Neighbour(neighbour, Presence::Present)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(neighbour)) => {
            Event::Neighbour(neighbour, Presence::Gone)
        }
        // Among them NetlinkPayload::Overrun: the socket's buffer was full (ENOBUFS) and notifications were lost.
        _ => Event::Other,
    }
}

async fn collect<T>(
    action: &str,
    answers: impl Stream<Item = Result<T, rtnetlink::Error>>,
) -> Result<Vec<T>, Error> {
    done(action.to_owned(), answers.try_collect()).await
}

async fn done<T>(
    action: String,
    answer: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(rtnetlink::Error::NetlinkError(message))) => {
            Err(Error::Refused { action, reason: message.to_io() })
        }
        Ok(Err(other)) => Err(Error::Broken { action, reason: other.to_string() }),
        Err(_) => Err(Error::Broken { action, reason: format!("no answer within {ANSWER:?}") }),
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_core::NetlinkHeader;

    use super::*;

    #[test]
    fn neighbour_notifications_are_told_apart() {
        let added = RouteNetlinkMessage::NewNeighbour(NeighbourMessage::default());
        let removed = RouteNetlinkMessage::DelNeighbour(NeighbourMessage::default());
        assert!(matches!(of(NetlinkPayload::InnerMessage(added)), Event::Neighbour(_, Presence::Present)));
        assert!(matches!(of(NetlinkPayload::InnerMessage(removed)), Event::Neighbour(_, Presence::Gone)));
    }

    #[test]
    fn lost_notifications_and_all_others_are_a_reason_to_read_again() {
        let link = RouteNetlinkMessage::NewLink(LinkMessage::default());
        assert!(matches!(of(NetlinkPayload::InnerMessage(link)), Event::Other));
        assert!(matches!(of(NetlinkPayload::Overrun(vec![])), Event::Other));
    }

    fn of(payload: NetlinkPayload<RouteNetlinkMessage>) -> Event {
        event(NetlinkMessage::new(NetlinkHeader::default(), payload))
    }
}
