//! Making trouble, and ending it.

use std::{thread, time::Duration};

use anyhow::Result;
use lb_daemon::api::types::Status;

use super::{step::Step, world};
use crate::lab::{
    Lab, R1, R2,
    config::{ECHO_DIRECT, ECHO_NAT, WEB_DIRECT, WEB_NAT},
    wait::{pause, until},
};

/// Time in which a router takes over, or a server's death is noticed, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Does it, and undoes it: when this returns nothing is wrong any more, though not everything may have come back.
///
/// # Errors
/// When something cannot be done, or nobody takes over.
pub(super) fn act(lab: &mut Lab, step: &Step) -> Result<()> {
    match *step {
        Step::Active(fault, time) => {
            fault.strike(lab, R1)?;
            until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active()))?;
            pause(time)?;
            fault.heal(lab, R1)
        }
        Step::Standby(fault, time) => {
            fault.strike(lab, R2)?;
            pause(time)?;
            fault.heal(lab, R2)
        }
        Step::Flaps { router, port, times, each } => {
            for _ in 0..times {
                lab.set_cable(router, port, false)?;
                thread::sleep(each);
                lab.set_cable(router, port, true)?;
                pause(each)?;
            }
            Ok(())
        }
        Step::Loss(time) => {
            [R1, R2].into_iter().try_for_each(|router| lab.lose_heartbeats(router, true))?;
            pause(time)?;
            [R1, R2].into_iter().try_for_each(|router| lab.lose_heartbeats(router, false))
        }
        Step::Reload(weights) => reload(lab, weights),
        Step::Server(index, time) => {
            let name = lab.servers[index].name();
            lab.servers[index].kill_hard()?;
            until(&format!("{name} to be down"), LIMIT, || {
                let down = |status: Status| {
                    let mut reals = status.services.into_iter().flat_map(|service| service.reals);
                    reals.any(|real| real.name == name && real.state != "up")
                };
                Ok(down(lab.routers[R1].status()?) && down(lab.routers[R2].status()?))
            })?;
            pause(time)?;
            lab.servers[index].revive()
        }
    }
}

/// Gives the servers of every service these weights, on both routers.
fn reload(lab: &Lab, weights: [u32; 3]) -> Result<()> {
    for router in &lab.routers {
        let mut config = router.standard_config();
        world::configure(&mut config);
        for name in [WEB_NAT, WEB_DIRECT, ECHO_NAT, ECHO_DIRECT] {
            config.service(name).into_iter().for_each(|service| service.weights(weights));
        }
        router.configure(&config)?;
        router.lbctl(&["reload"])?;
    }
    Ok(())
}
