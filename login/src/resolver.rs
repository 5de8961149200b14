//! Looking up names, with an eye on what is found.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::reach::{AddressRefused, Network, Reach, is_localhost};

/// Keeps what is found for a name within reach. It stands in the client's own connector, so the
/// addresses that it passed are those that are contacted: a name cannot mean something else by
/// then.
pub(crate) struct Guard {
    reach: Reach,
    names: Arc<dyn Resolve>,
}

impl Guard {
    pub(crate) fn new(reach: Reach, names: Arc<dyn Resolve>) -> Self {
        Self { reach, names }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let host = name.as_str().to_owned();
        let found = self.names.resolve(name);
        Box::pin(async move {
            let admitted = admitted(reach, host, found.await?)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be contacted. `localhost` is this machine and nothing else, and no
/// other name is: so a URL tells whether it is local, whoever answers for its name.
fn admitted(reach: Reach, host: String, found: Addrs) -> Result<Vec<SocketAddr>, AddressRefused> {
    let local = is_localhost(&host);
    let mut refused = None;
    let admitted: Vec<_> = found
        .filter(|address| {
            let network = Network::of(address.ip());
            let good = reach.allows(address.ip()) && (network == Network::Loopback) == local;
            if !good {
                refused.get_or_insert(network);
            }
            good
        })
        .collect();
    match refused {
        Some(network) if admitted.is_empty() => Err(AddressRefused { host, network }),
        // A name without any address fails by itself, where the client connects.
        Some(_) | None => Ok(admitted),
    }
}

/// The resolver of the system.
pub(crate) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The client puts its own port in place of this.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("reach", &self.reach).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(reach: Reach, host: &str, found: &[&str]) -> Result<Vec<String>, Network> {
        let found: Vec<_> =
            found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        admitted(reach, host.to_owned(), Box::new(found.into_iter()))
            .map(|admitted| admitted.iter().map(|address| address.ip().to_string()).collect())
            .map_err(|refused| refused.network)
    }

    #[test]
    fn a_name_keeps_the_addresses_that_are_within_reach() {
        let mixed = ["10.0.0.1", "1.1.1.1", "169.254.169.254", "127.0.0.1", "2606:4700::1111"];
        assert_eq!(
            admit(Reach::Public, "as.example", &mixed).unwrap(),
            ["1.1.1.1", "2606:4700::1111"]
        );
        assert_eq!(
            admit(Reach::Private, "as.example", &mixed).unwrap(),
            ["10.0.0.1", "1.1.1.1", "2606:4700::1111"]
        );
    }

    #[test]
    fn a_name_without_an_address_within_reach_is_refused() {
        for (address, network) in [
            ("192.168.0.1", Network::Private),
            ("::ffff:10.0.0.1", Network::Private),
            ("169.254.169.254", Network::Special),
            ("127.0.0.1", Network::Loopback),
            ("::1", Network::Loopback),
        ] {
            assert_eq!(admit(Reach::Public, "as.example", &[address]), Err(network), "{address}");
        }
    }

    #[test]
    fn localhost_is_this_machine_and_no_other() {
        for reach in [Reach::Public, Reach::Private] {
            let found = admit(reach, "localhost", &["10.0.0.1", "1.1.1.1", "127.0.0.1"]);
            assert_eq!(found.unwrap(), ["127.0.0.1"]);
            assert_eq!(admit(reach, "a.localhost", &["1.1.1.1"]), Err(Network::Public));
            assert_eq!(admit(reach, "as.example", &["127.0.0.1"]), Err(Network::Loopback));
        }
    }
}
