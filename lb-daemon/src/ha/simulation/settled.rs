//! A pair at rest, to begin with.

use super::*;

/// A settled pair over a good network, with the preferred router active.
pub(super) fn plain() -> (World, usize) {
    active_is(0)
}

/// The same, with this router active.
pub(super) fn active_is(active: usize) -> (World, usize) {
    let second = Duration::from_secs(1);
    let mut world = World::new(Setup::plain(), Random::new(1));
    world.boot(active, false);
    world.run(second * 2);
    world.boot(1 - active, false);
    world.run(second * 2);
    assert_eq!(world.the_active(), active);
    world.forget();
    (world, active)
}
