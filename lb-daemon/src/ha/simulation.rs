//! Two routers under a virtual clock, with a network that loses, delays, reorders, repeats and cuts: what the pair
//! promises, checked over thousands of seeds.
//!
//! [`World`] runs the routers exactly as the driver does: everything that has arrived first, then the time.

mod attacks;
mod chaos;
mod copying;
mod fitness;
mod groups;
mod lease;
mod maintenance;
mod network;
mod promises;
mod random;
mod settled;
mod takeover;
mod witnesses;

use std::time::{Duration, Instant};

use self::{
    copying::Copying,
    lease::Plane,
    network::{Flight, Network},
    random::Random,
};
use super::{
    Role,
    engine::{Condition, Engine, Forced, HoldRefusal, Maintenance, Notice, Settings},
    heartbeat::Heartbeat,
};
use crate::config::Failback;

/// Virtual time between two looks at the routers that would otherwise sleep.
const FOREVER: Duration = Duration::from_secs(1 << 20);

/// How the pair of one run is set up.
#[derive(Clone, Debug)]
struct Setup {
    interval: Duration,
    dead_after: Duration,
    priorities: [u8; 2],
    failback: Failback,
    paths: usize,
    /// Longest delay of a datagram.
    delay: Duration,
    /// Most datagrams lost in a row, by path and direction.
    drops: u32,
    /// Whether the routers have a witness.
    witness: bool,
    /// Whether connections are copied.
    copies: bool,
}

impl Setup {
    /// A setup of any kind that the configuration allows, over a network that keeps the peer within `dead_after`.
    fn any(random: &mut Random) -> Self {
        let interval = Duration::from_millis([20, 50, 100, 500, 2000][random.below(5)]);
        let multiple = 3 + random.below(8) as u32;
        let priorities = [[200, 100], [100, 200], [100, 100]][random.below(3)];
        let delay = interval * (random.below(6) as u32) / 10;
        let failback = match random.below(2) {
            0 => Failback::Manual,
            _ => Failback::Auto { delay: interval * random.below(30) as u32 },
        };
        Self {
            interval,
            dead_after: interval * multiple,
            priorities,
            failback,
            paths: 1 + random.below(2),
            delay,
            drops: random.below(multiple as usize - 1) as u32,
            witness: random.chance(50),
            copies: false,
        }
    }

    /// Two paths, a heartbeat every 100 ms, and nothing lost.
    fn plain() -> Self {
        Self {
            interval: Duration::from_millis(100),
            dead_after: Duration::from_secs(1),
            priorities: [200, 100],
            failback: Failback::Manual,
            paths: 2,
            delay: Duration::from_millis(1),
            drops: 0,
            witness: false,
            copies: false,
        }
    }

    /// The longest time from one heartbeat heard to the next.
    fn hop(&self) -> Duration {
        self.interval * (self.drops + 1) + self.delay
    }

    /// The longest time that both routers are active although each can hear the other: both must learn that the other
    /// lives now (two hops), the weaker must hear the stronger (one), and one that was frozen listens first.
    fn both_active(&self) -> Duration {
        self.hop() * 3 + self.interval * 2
    }

    /// The longest time from two routers that can hear each other to exactly one active: they may both have yielded,
    /// and elect, or one may have been leaving; a starting one waits for up to three times `dead_after`.
    fn settled(&self) -> Duration {
        self.both_active() + self.dead_after * 4 + self.interval * 8 + self.hop()
    }

    /// How long a router waits before it asks for its role.
    fn failback_delay(&self) -> Duration {
        match self.failback {
            Failback::Auto { delay } => delay,
            Failback::Manual => Duration::ZERO,
        }
    }

    fn settings(&self, node: usize, incarnation: u64) -> Settings {
        Settings {
            name: ["alpha", "beta"][node].to_owned(),
            group: String::new(),
            incarnation,
            config_hash: 7,
            paths: self.paths,
            priority: self.priorities[node],
            interval: self.interval,
            dead_after: self.dead_after,
            failback: self.failback,
            witness: self.witness,
        }
    }
}

/// A router.
#[derive(Debug, Default)]
struct Node {
    /// `None`: its daemon does not run.
    engine: Option<Engine>,
    /// Until when it is frozen, and whether what arrives meanwhile waits (a stopped process) or is lost (a paused
    /// machine).
    frozen: Option<(Instant, bool)>,
    /// What arrived while it was frozen.
    queue: Vec<(usize, Heartbeat)>,
    /// Notices so far.
    notices: Vec<Notice>,
    /// Heartbeats ignored so far.
    ignored: usize,
    /// When it asks the witness next; `None`: now.
    asks: Option<Instant>,
    /// Since when it is awake and can hear neither the peer nor the witness.
    isolated_from: Option<Instant>,
}

/// Both routers and all between them.
struct World {
    setup: Setup,
    random: Random,
    start: Instant,
    now: Instant,
    nodes: [Node; 2],
    /// What stands in the kernel of each router, and outlives its daemon.
    planes: [Plane; 2],
    /// What speaks against each router, whether its daemon runs or not.
    conditions: [Condition; 2],
    /// What is remembered beside each daemon of what its operator holds it in.
    held: [Option<Maintenance>; 2],
    network: Network,
    copying: Copying,
    /// Roles at the last look.
    roles: [Option<Role>; 2],
    /// Which router the witness answers.
    witness: [bool; 2],
    /// Everything that was ever sent and not lost: by whom, on which path, what.
    recorded: Vec<(usize, usize, Heartbeat)>,
    /// Since when both routers are awake and each can hear the other.
    connected_from: Option<Instant>,
    /// Since when both are active.
    both_active_from: Option<Instant>,
    /// Whether a router must forward at every moment.
    must_forward: bool,
    /// Whether at most one may answer for the addresses at every moment.
    one_answers: bool,
}

impl World {
    /// Two routers that have not started.
    fn new(setup: Setup, random: Random) -> Self {
        let start = Instant::now();
        Self {
            network: Network::new(&setup),
            roles: [None; 2],
            witness: [true; 2],
            setup,
            random,
            start,
            now: start,
            nodes: Default::default(),
            planes: Default::default(),
            conditions: Default::default(),
            held: Default::default(),
            copying: Copying::default(),
            recorded: Vec::new(),
            connected_from: None,
            both_active_from: None,
            must_forward: false,
            one_answers: false,
        }
    }

    /// Two routers that have started, in any order, and agree on who is active; the active one.
    fn settled(setup: Setup, mut random: Random) -> (Self, usize) {
        let first = random.below(2);
        let mut world = Self::new(setup, random);
        world.boot(first, false);
        let wait = world.setup.dead_after * world.random.below(3) as u32 / 2;
        world.run(wait);
        world.boot(1 - first, false);
        // Not in the midst of a failback.
        let settled = world.setup.settled() + world.setup.failback_delay();
        world.run(settled);
        world.forget();
        let active = world.the_active();
        (world, active)
    }

    /// Starts the daemon of `node`.
    fn boot(&mut self, node: usize, resume: bool) {
        let settings = self.setup.settings(node, self.random.next().max(1));
        let mut engine = Engine::new(settings, resume, self.now);
        engine.restore(self.held[node].clone());
        self.nodes[node] = Node { engine: Some(engine), ..Node::default() };
        self.forget_copy(node);
        self.poll(node);
        self.tell_condition(node);
    }

    /// Gives `node` a fault, or takes it away.
    fn fault(&mut self, node: usize, fault: bool) {
        self.conditions[node].faults = fault.then(|| "uplink".to_owned()).into_iter().collect();
        self.tell_condition(node);
    }

    /// Lowers the priority of `node` by `penalty` from what is configured.
    fn weaken(&mut self, node: usize, penalty: u8) {
        let weaknesses = (penalty > 0).then(|| "gateway".to_owned()).into_iter().collect();
        self.conditions[node] =
            Condition { weaknesses, penalty: penalty.into(), ..self.conditions[node].clone() };
        self.tell_condition(node);
    }

    /// Holds `node` in a role, or releases it; refused where its daemon does not run.
    fn hold(&mut self, node: usize, role: Option<Forced>) -> Option<Result<(), HoldRefusal>> {
        self.connected_from = None;
        let Node { engine: Some(engine), frozen: None, .. } = &mut self.nodes[node] else { return None };
        let result = engine.hold(role.map(|role| Maintenance { role, reason: String::new() }), self.now);
        self.poll(node);
        Some(result)
    }

    /// A frozen router learns of it when it wakes.
    fn tell_condition(&mut self, node: usize) {
        // The order of the pair may have changed: what was going on between them begins anew.
        self.connected_from = None;
        let Node { engine: Some(engine), frozen: None, .. } = &mut self.nodes[node] else { return };
        engine.set_condition(self.conditions[node].clone(), self.now);
        self.poll(node);
    }

    /// Kills the daemon of `node`.
    fn kill(&mut self, node: usize) {
        self.nodes[node] = Node::default();
        self.forget_copy(node);
    }

    /// Freezes `node` for `time`; `queues`: what arrives meanwhile waits.
    fn freeze(&mut self, node: usize, time: Duration, queues: bool) {
        self.nodes[node].frozen = Some((self.now + time, queues));
        // Nobody looks at it before it wakes, and then everything begins anew.
        self.nodes[node].isolated_from = None;
        self.connected_from = None;
    }

    /// The engine of `node`, which runs.
    fn engine(&mut self, node: usize) -> &mut Engine {
        self.nodes[node].engine.as_mut().expect("the test has started this router")
    }

    fn role(&self, node: usize) -> Option<Role> {
        self.nodes[node].engine.as_ref().map(Engine::role)
    }

    /// The one active router.
    fn the_active(&self) -> usize {
        match [self.role(0), self.role(1)].map(|role| role == Some(Role::Active)) {
            [true, false] => 0,
            [false, true] => 1,
            [both, _] => panic!("{} active after {:?}", if both { "both" } else { "nobody" }, self.elapsed()),
        }
    }

    /// Changes of role of both routers since [`forget`](Self::forget).
    fn changes(&self) -> usize {
        let notices = self.nodes.iter().flat_map(|node| &node.notices);
        notices.filter(|notice| matches!(notice, Notice::Role(_))).count()
    }

    /// Forgets the notices so far.
    fn forget(&mut self) {
        for node in &mut self.nodes {
            node.notices.clear();
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Lets `time` pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.next_moment();
            if next > end {
                break;
            }
            // Time never stands still for long: a deadline that is not met would repeat for ever.
            self.now = next.max(self.now);
            self.deliver();
            for node in 0..2 {
                self.thaw(node);
                self.turn(node);
            }
            self.check();
        }
        self.now = end;
        self.check();
    }

    /// Lets time pass until `done`, or for `limit`; how long it was.
    fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (from, step) = (self.now, self.setup.interval / 20);
        while self.now <= from + limit {
            if done(self) {
                return Some(self.now - from);
            }
            self.run(step);
        }
        None
    }

    fn next_moment(&self) -> Instant {
        let deadline = |node: &Node| match node.frozen {
            Some((until, _)) => Some(until),
            None => {
                let engine = node.engine.as_ref();
                let asks = engine.map(|_| node.asks.unwrap_or(self.now)).filter(|_| self.setup.witness);
                engine.and_then(Engine::next_deadline).into_iter().chain(asks).min()
            }
        };
        let deadlines = self.nodes.iter().filter_map(deadline);
        deadlines.chain(self.network.next_arrival()).min().unwrap_or(self.now + FOREVER)
    }

    /// Hands over what has arrived.
    fn deliver(&mut self) {
        while let Some(Flight { to, path, heartbeat, .. }) = self.network.arrived(self.now) {
            let node = &mut self.nodes[to];
            match node.frozen {
                Some((_, true)) => node.queue.push((path, heartbeat)),
                Some((_, false)) => {}
                None => self.hear(to, path, &heartbeat),
            }
        }
    }

    fn hear(&mut self, to: usize, path: usize, heartbeat: &Heartbeat) {
        let now = self.now;
        let node = &mut self.nodes[to];
        if let Some(engine) = &mut node.engine
            && engine.handle_heartbeat(path, heartbeat, now).is_err()
        {
            node.ignored += 1;
        }
    }

    /// Wakes `node` when its freeze is over: the queue comes before the time.
    fn thaw(&mut self, node: usize) {
        if self.nodes[node].frozen.is_some_and(|(until, _)| until <= self.now) {
            self.nodes[node].frozen = None;
            for (path, heartbeat) in std::mem::take(&mut self.nodes[node].queue) {
                self.hear(node, path, &heartbeat);
            }
            self.tell_condition(node);
        }
    }

    /// One turn of the driver.
    fn turn(&mut self, node: usize) {
        let Node { engine: Some(engine), frozen: None, asks, .. } = &mut self.nodes[node] else { return };
        if self.setup.witness && asks.is_none_or(|asks| asks <= self.now) {
            *asks = Some(self.now + self.setup.interval);
            if self.witness[node] {
                engine.handle_witness(self.now, self.now);
            }
        }
        self.copy(node);
        let now = self.now;
        self.engine(node).handle_timeout(now);
        self.poll(node);
    }

    /// Takes out what the engine has to say.
    fn poll(&mut self, node: usize) {
        let Some(engine) = &mut self.nodes[node].engine else { return };
        let heartbeat = engine.poll_transmit(self.now);
        self.held[node] = engine.maintenance().cloned();
        self.planes[node].follow(engine.role(), engine.poll_lease(self.now));
        while let Some(notice) = engine.poll_notice() {
            if notice == Notice::AskWitness {
                self.nodes[node].asks = None;
            }
            self.nodes[node].notices.push(notice);
        }
        heartbeat.iter().for_each(|heartbeat| self.check_position(node, heartbeat));
        for path in 0..self.setup.paths {
            let Some(heartbeat) = &heartbeat else { return };
            if self.network.send(&mut self.random, self.now, node, path, heartbeat) {
                self.recorded.push((node, path, heartbeat.clone()));
            }
        }
    }

    /// Whether `node` is awake, and nothing that the peer says reaches it.
    fn is_deaf(&self, node: usize) -> bool {
        let peer = &self.nodes[1 - node];
        let speaks =
            peer.frozen.is_none() && peer.engine.as_ref().is_some_and(|engine| !engine.is_finished());
        self.nodes[node].frozen.is_none() && !(speaks && self.network.is_heard(1 - node))
    }

    /// A router that hears neither the peer nor the witness is not active.
    fn check_isolation(&mut self, node: usize) {
        let isolated = self.setup.witness && !self.witness[node] && self.is_deaf(node);
        let from = self.nodes[node].isolated_from;
        let from = isolated.then(|| from.unwrap_or(self.now));
        self.nodes[node].isolated_from = from;
        let long = from.is_some_and(|from| self.now - from > self.setup.dead_after + self.setup.delay);
        let forwards = self.role(node).is_some_and(Role::forwards);
        assert!(!long || !forwards, "router {node} is cut off, and active all the same");
    }

    /// A router that is held standby does not become active.
    fn check_held(&mut self, node: usize) {
        let role = self.role(node);
        let became = role == Some(Role::Active) && self.roles[node] == Some(Role::Standby);
        let held = self.held[node].as_ref().is_some_and(|held| held.role == Forced::Standby);
        assert!(!became || !held, "router {node} is held standby, and became active");
        self.roles[node] = role;
    }

    /// What holds at every moment.
    fn check(&mut self) {
        let both = [0, 1].iter().all(|node| self.role(*node) == Some(Role::Active));
        let awake = self.nodes.iter().all(|node| node.engine.is_some() && node.frozen.is_none());
        let connected = awake && self.network.connected();
        self.connected_from = connected.then(|| self.connected_from.unwrap_or(self.now));
        self.both_active_from = both.then(|| self.both_active_from.unwrap_or(self.now));
        if let (Some(connected), Some(active)) = (self.connected_from, self.both_active_from) {
            let long = self.now - connected.max(active);
            assert!(long <= self.setup.both_active(), "both active for {long:?} in a connected network");
        }
        for node in 0..2 {
            self.check_isolation(node);
            self.check_held(node);
        }
        self.check_answers();
        if self.must_forward {
            let forwards = |node: usize| self.role(node).is_some_and(Role::forwards);
            assert!(forwards(0) || forwards(1), "nobody forwards at {:?}", self.elapsed());
        }
    }
}
