//! Keeps the maps as they should be, and reads what they count.

use std::{collections::BTreeMap, time::Instant};

use lb_common::RealCounters;

use super::{Director, roles};
use crate::{
    config::Config,
    connections::Counts,
    datapath,
    plan::{self, Inputs, RealId},
    reconcile::reconcile,
    tables::Tables,
};

/// Subject of trouble with the maps.
const DATA_PLANE: &str = "data plane";

impl Director {
    /// Brings the data plane to what everything known asks for.
    pub(super) fn replan(&mut self) {
        let result = self.try_replan();
        self.trouble.note(DATA_PLANE, result.err());
    }

    /// The same, where the caller tells of the failure.
    pub(super) fn try_replan(&mut self) -> Result<(), String> {
        let result = self.plan(&self.parts.config).and_then(|tables| {
            reconcile(self.parts.datapath.as_mut(), &tables).map_err(|error| error.to_string())?;
            Ok(tables)
        });
        match result {
            Ok(tables) => {
                self.tables = tables;
                Ok(())
            }
            Err(message) => {
                // Some changes may stand all the same.
                if let Ok(installed) = self.parts.datapath.installed() {
                    self.tables = installed;
                }
                Err(message)
            }
        }
    }

    /// What should stand in the maps with `config` in force.
    pub(super) fn plan(&self, config: &Config) -> Result<Tables, String> {
        let (installed, positions) = self.read_maps().map_err(|error| error.to_string())?;
        let (role, closed) = roles::standing(&self.applied, config, &installed);
        plan::plan(&Inputs {
            config,
            limits: self.parts.limits,
            role,
            closed: &closed,
            health: &self.health,
            overrides: &self.overrides,
            topology: &self.parts.topology.borrow(),
            installed: &installed,
            positions: &positions,
        })
        .map_err(|error| error.to_string())
    }

    fn read_maps(&self) -> Result<(Tables, BTreeMap<lb_common::ServiceKey, u64>), datapath::Error> {
        let installed = self.parts.datapath.installed()?;
        let mut positions = BTreeMap::new();
        for key in installed.services.keys() {
            if let Some(position) = self.parts.datapath.position(key)? {
                positions.insert(*key, position);
            }
        }
        Ok((installed, positions))
    }

    /// Tries again what has failed.
    pub(super) async fn heal(&mut self) {
        if self.trouble.stands(DATA_PLANE) {
            self.replan();
        }
        self.heal_addresses().await;
        self.heal_virtual_macs().await;
    }

    /// Looks at the counters, for the rates, and has somebody look at the flow table.
    pub(super) fn sample(&mut self) {
        self.surveyor.start(self.parts.datapath.flow_table());
        let result = self.try_sample();
        self.trouble.note("counters", result.err());
    }

    fn try_sample(&mut self) -> Result<(), datapath::Error> {
        self.estimator.sample(&self.counters()?, self.sampled.elapsed());
        self.sampled = Instant::now();
        Ok(())
    }

    /// Takes in what a survey of the flow table has found.
    pub(super) fn surveyed(&mut self, result: Result<BTreeMap<u32, Counts>, datapath::Error>) {
        let failure = result.map(|counts| {
            let slots = self.tables.slots();
            self.connections =
                counts.into_iter().filter_map(|(index, one)| Some((*slots.get(&index)?, one))).collect();
        });
        self.trouble.note("flow table", failure.err());
    }

    /// The counters of every real server, now.
    pub(super) fn counters(&self) -> Result<BTreeMap<RealId, RealCounters>, datapath::Error> {
        let slots = self.tables.slots();
        let indices: Vec<u32> = slots.keys().copied().collect();
        let counters = self.parts.datapath.real_counters(&indices)?;
        Ok(counters.into_iter().filter_map(|(index, one)| Some((*slots.get(&index)?, one))).collect())
    }
}
