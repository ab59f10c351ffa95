//! What every step works with: the laboratory, the screen, and the watch of the roles.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{roles::Roles, screen::Screen, traffic::Traffic};
use crate::lab::{Lab, R1, R2, wait};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(10);

/// The stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) screen: Screen,
    roles: Option<Roles>,
}

impl Stage {
    pub(crate) const fn new(lab: Lab, screen: Screen) -> Self {
        Self { lab, screen, roles: None }
    }

    /// Starts both routers with the standard configuration and the watch of their roles.
    pub(crate) fn start_routers(&mut self) -> Result<()> {
        self.lab.start_routers(|_| {})?;
        self.roles = Some(Roles::watch(&self.lab)?);
        Ok(())
    }

    /// The roles over time.
    pub(crate) fn roles(&self) -> Result<&Roles> {
        self.roles.as_ref().context("the routers have not been started")
    }

    /// Starts the streams of requests.
    pub(crate) fn traffic(&self) -> Result<Traffic> {
        Traffic::start(&self.lab)
    }

    /// Says what is done now.
    pub(crate) fn tell(&mut self, line: &str) {
        self.screen.say(&format!("  · {line}"));
    }

    /// Lets the traffic run for some time, before the reader's eyes.
    pub(crate) fn run(&mut self, traffic: &Traffic, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.watch(traffic, "time to pass", time * 2, |_, _| Ok(Instant::now() >= end))
    }

    /// Lets the traffic run until `condition` holds, before the reader's eyes; returns how long that took.
    ///
    /// # Errors
    /// When it does not hold within `timeout`, or a signal ended the demo.
    pub(crate) fn run_until(
        &mut self,
        traffic: &Traffic,
        what: &str,
        timeout: Duration,
        condition: impl Fn(&Self, &Traffic) -> Result<bool>,
    ) -> Result<Duration> {
        let start = Instant::now();
        self.watch(traffic, what, timeout, condition)?;
        Ok(start.elapsed())
    }

    /// Lets the traffic run until r1 is active again and r2 stands by.
    pub(crate) fn run_until_settled(&mut self, traffic: &Traffic, timeout: Duration) -> Result<Duration> {
        self.run_until(traffic, "r1 to be active and r2 to stand by", timeout, |stage, _| {
            let roles = stage.roles()?;
            Ok(roles.of(R1) == "active" && roles.of(R2) == "standby")
        })
    }

    /// Takes the laboratory down.
    ///
    /// # Errors
    /// When something of it stays.
    pub(crate) fn end(mut self) -> Result<()> {
        self.screen.clear();
        self.roles = None;
        self.lab.tear_down().context("the laboratory left something behind")
    }

    fn watch(
        &mut self,
        traffic: &Traffic,
        what: &str,
        timeout: Duration,
        condition: impl Fn(&Self, &Traffic) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while !condition(self, traffic)? {
            if wait::interrupted() {
                bail!("interrupted");
            }
            if Instant::now() >= deadline {
                bail!("waited {timeout:?} in vain for {what}");
            }
            self.draw(traffic);
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn draw(&mut self, traffic: &Traffic) {
        if self.screen.is_due() {
            let role = |index| self.roles.as_ref().map_or_else(|| "-".to_owned(), |roles| roles.of(index));
            let mut lines = traffic.lines();
            lines.push(format!("  routers   r1 {}, r2 {}", role(R1), role(R2)));
            self.screen.draw(&lines);
        }
    }
}
