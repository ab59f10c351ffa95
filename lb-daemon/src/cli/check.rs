//! `lbctl check`: validates a configuration file, without the daemon.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use super::outcome::{CliError, Format};
use crate::{api::types::Done, config::Config};

/// Arguments of `lbctl check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Validates the file that `args` name with `load`, which reads and checks it.
///
/// # Errors
/// With every mistake in the file, one line each.
pub fn run<E: Display>(
    args: &Args,
    load: impl FnOnce(&Path) -> Result<Config, E>,
    format: Format,
) -> Result<String, CliError> {
    let config = load(&args.file).map_err(|errors| CliError::Config(errors.to_string()))?;
    let done = Done { message: summary(&args.file, &config) };
    format.render(&done, |done| format!("{}\n", done.message))
}

fn summary(path: &Path, config: &Config) -> String {
    let services = config.services.len();
    let reals = config.services.iter().map(|service| service.reals.len()).sum();
    format!("{}: ok ({}, {})", path.display(), count(services, "service"), count(reals, "real server"))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::Ipv4Addr};

    use lb_common::{IPPROTO_TCP, Method, Scheduler, ServiceKey};

    use super::*;
    use crate::config::{BpfLog, Daemon, Limits, Real, Router, Service};

    #[test]
    fn a_right_file_is_summed_up() {
        let reals = vec![real("rs1", 1), real("rs2", 2)];
        let outcome = check(Ok(config(vec![service(reals)])));
        assert_eq!(outcome.unwrap(), "lbd.toml: ok (1 service, 2 real servers)\n");
    }

    #[test]
    fn an_empty_file_has_plurals() {
        assert_eq!(check(Ok(config(vec![]))).unwrap(), "lbd.toml: ok (0 services, 0 real servers)\n");
    }

    #[test]
    fn every_mistake_is_told() {
        let error = check(Err("first\nsecond")).unwrap_err();
        assert!(matches!(&error, CliError::Config(text) if text == "first\nsecond"), "{error:?}");
    }

    fn check(outcome: Result<Config, &str>) -> Result<String, CliError> {
        let args = Args { file: "lbd.toml".into() };
        run(
            &args,
            |path| {
                assert_eq!(path, Path::new("lbd.toml"));
                outcome
            },
            Format::Text,
        )
    }

    fn config(services: Vec<Service>) -> Config {
        Config {
            router: Router {
                name: "lb1".to_owned(),
                interfaces: BTreeSet::new(),
                nat_router: None,
                virtual_mac: None,
            },
            peer: None,
            tracks: Vec::new(),
            notify: crate::config::Notify::default(),
            announce: crate::config::Announce::default(),
            groups: Vec::new(),
            vips: vec![],
            services,
            limits: Limits::default(),
            daemon: Daemon {
                pin_dir: "/sys/fs/bpf/lbd".into(),
                socket: "/run/lbd/lbd.sock".into(),
                bpf_log: BpfLog::Off,
            },
        }
    }

    fn service(reals: Vec<Real>) -> Service {
        let key = ServiceKey::new(IPPROTO_TCP, [10, 9, 9, 9], 80);
        Service { name: "web".to_owned(), key, scheduler: Scheduler::RoundRobin, check: None, reals }
    }

    fn real(name: &str, host: u8) -> Real {
        let address = Ipv4Addr::new(10, 0, host, 2);
        Real { name: name.to_owned(), address, port: 80, weight: 1, method: Method::Nat }
    }
}
