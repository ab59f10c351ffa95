//! The positions of schedules in the kernel, apart from the maps that the data plane owns.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use lb_common::{Scheduler, Service, ServiceKey, map};

use super::{
    Error, Schedules,
    maps::{failed, set},
    pins::Pins,
};

/// The pinned maps.
pub(super) struct KernelSchedules {
    services: HashMap<MapData, ServiceKey, Service>,
    positions: Mutex<Array<MapData, u64>>,
}

impl KernelSchedules {
    /// Opens them.
    ///
    /// # Errors
    /// When one is missing or of another kind.
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        let open = |name| MapData::from_pin(pins.map(name)).map_err(failed(name, "opening"));
        let services = HashMap::try_from(Map::HashMap(open(map::SERVICES)?));
        let positions = Array::try_from(Map::Array(open(map::POSITIONS)?));
        Ok(Self {
            services: services.map_err(failed(map::SERVICES, "opening"))?,
            positions: Mutex::new(positions.map_err(failed(map::POSITIONS, "opening"))?),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Array<MapData, u64>> {
        // A thread that panicked has left a descriptor behind.
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Schedules for KernelSchedules {
    fn positions(&self) -> Result<BTreeMap<ServiceKey, u64>, Error> {
        let mut positions = BTreeMap::new();
        for entry in self.services.iter() {
            let (key, service) = entry.map_err(failed(map::SERVICES, "reading"))?;
            if is_in_turn(&service) {
                let position =
                    self.lock().get(&service.ring, 0).map_err(failed(map::POSITIONS, "reading"))?;
                positions.insert(key, position);
            }
        }
        Ok(positions)
    }

    fn set_position(&self, key: &ServiceKey, position: u64) -> Result<(), Error> {
        match self.services.get(key, 0) {
            Ok(service) if is_in_turn(&service) => {
                set(self.lock().set(service.ring, position, 0), map::POSITIONS)
            }
            Ok(_) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(failed(map::SERVICES, "reading")(error)),
        }
    }
}

fn is_in_turn(service: &Service) -> bool {
    Scheduler::from_u8(service.scheduler).is_some_and(Scheduler::is_in_turn)
}
