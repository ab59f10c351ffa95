//! The object itself: what the verifier makes of it, with and without log calls.

use lb_tests::prog::Program;

use super::world::with_world;

/// `Level::Debug` of aya-log; every line here is of this level or a graver one.
const DEBUG: u8 = 4;

#[test]
fn it_loads_at_every_log_level_and_log_calls_vanish_at_zero() {
    with_world(|world| {
        let quiet = world.program.info().unwrap();
        for level in 1..=DEBUG {
            let talking = Program::load_with_log_level(level).unwrap().info().unwrap();
            eprintln!(
                "level {level}: {:?} bytes, {:?} instructions verified",
                talking.size_translated(),
                talking.verified_instruction_count()
            );
            if level > 1 {
                assert!(talking.size_translated() > quiet.size_translated(), "level {level}");
            }
        }
        eprintln!(
            "level 0: {:?} bytes, {:?} verified",
            quiet.size_translated(),
            quiet.verified_instruction_count()
        );
    });
}
