//! The program that packets meet first. There is one for each set of forwarding methods that may be in use: what serves the
//! others alone costs nothing then. What such a program leaves out, those that it jumps to do, so that it may take another's place
//! before or after a change.

use std::collections::BTreeMap;

use aya::Ebpf;
use lb_common::Methods;

use super::{
    Error,
    attach::{self, Attachment},
    pins::Pins,
    programs,
};

/// All of them, and where one runs.
pub(super) struct Entry {
    ebpf: Ebpf,
    pins: Pins,
    interfaces: BTreeMap<String, u32>,
    methods: Methods,
}

impl Entry {
    /// Attaches the one for all methods, of an object that is loaded, to `interfaces` (index by name).
    ///
    /// # Errors
    /// See [`attach::attach_all`].
    pub(super) fn attach(
        mut ebpf: Ebpf,
        pins: &Pins,
        interfaces: &BTreeMap<String, u32>,
    ) -> Result<(Self, Attachment), Error> {
        let methods = Methods::ALL;
        let program = programs::entry(&mut ebpf, methods).map_err(|error| Error::Setup(error.to_string()))?;
        let attached = attach::attach_all(program, pins, interfaces)?;
        Ok((Self { ebpf, pins: pins.clone(), interfaces: interfaces.clone(), methods }, attached))
    }

    /// The methods that the running one is made for.
    pub(super) const fn methods(&self) -> Methods {
        self.methods
    }

    /// Has the one for these methods take its place: each packet meets one of the two.
    ///
    /// # Errors
    /// When the kernel refuses; interfaces then run the one or the other, which forward alike.
    pub(super) fn use_methods(&mut self, methods: Methods) -> Result<(), Error> {
        let program =
            programs::entry(&mut self.ebpf, methods).map_err(|error| Error::Setup(error.to_string()))?;
        attach::replace_all(program, &self.pins, &self.interfaces)?;
        self.methods = methods;
        Ok(())
    }
}
