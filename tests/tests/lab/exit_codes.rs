//! What `lbctl` tells the shell, with the real daemon behind it.

use lb_tests::lab::{
    R1,
    attempt::{Ended, lbctl},
    config::WEB_NAT,
    router::Router,
};

use crate::{refusals::AS_NOBODY, support::lone_router};

#[test]
fn every_ending_has_its_code_and_its_line() {
    let Some(mut lab) = lone_router() else { return };
    let router = &lab.routers[R1];
    let socket = router.socket().display().to_string();
    assert_eq!(ends(router, &["status"]).code, Some(0));
    for (arguments, message) in [
        (&["failover"][..], "no peer is configured"),
        (&["server", "n9", "drain"], "no real server is called \"n9\""),
        (&["server", "n1", "drain", "--service", "nonsense"], "no service is called \"nonsense\""),
    ] {
        assert_eq!(ends(router, arguments), failed(1, &format!("lbctl: {message}\n")), "{arguments:?}");
    }
    assert!(router.service(WEB_NAT).unwrap().reals.iter().all(|real| real.state != "drained"));

    let broken = lab.folder().join("broken.toml");
    std::fs::write(&broken, "[router]\ninterfaces = [\"eth0\"]\nbogus = 1\n").unwrap();
    let broken = broken.display().to_string();
    let mistake = format!("{broken}:3: unknown key router.bogus; router knows name, ");
    let ended = ends(router, &["check", &broken]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.starts_with(&mistake) && ended.stderr.matches('\n').count() == 1, "{ended:?}");
    let ended = ends(router, &["server", "n1", "weight", "65536"]);
    assert!(ended.code == Some(2) && ended.stderr.starts_with("lbctl: "), "{ended:?}");

    let ended = lbctl(router, &AS_NOBODY, &["status"]).unwrap();
    assert_eq!(ended, failed(4, &format!("lbctl: no permission to use {socket}: be root or in its group\n")));

    // Killed, with its socket left behind; and stopped, without.
    lab.routers[R1].kill().unwrap();
    let silent = failed(3, &format!("lbctl: lbd does not answer on {socket}: is it running?\n"));
    assert!(lab.routers[R1].socket().exists());
    assert_eq!(ends(&lab.routers[R1], &["status"]), silent);
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(ends(&lab.routers[R1], &["reload"]), silent);
}

fn ends(router: &Router, arguments: &[&str]) -> Ended {
    lbctl(router, &[], arguments).expect("lbctl can be started")
}

fn failed(code: i32, stderr: &str) -> Ended {
    Ended { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() }
}
