//! Which addresses a login may contact.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which networks a login may contact.
///
/// The addresses of a login come from documents on servers, so a server could point at a machine
/// that only this one can reach. Addresses at which no authorization server can be (link-local,
/// where clouds serve their credentials, multicast, unspecified, documentation, reserved) are
/// contacted by neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, and loopback. No proxy is used: it would look up names out of sight.
    #[default]
    Public,
    /// Private networks as well, by reqwest's settings for proxies: for authorization servers
    /// inside a company or a home.
    Private,
}

/// What kind of network an address belongs to (RFC 6890 and IANA's registries of it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// Reachable from everywhere.
    Public,
    /// This machine.
    Loopback,
    /// A company's, a home's, a carrier's (RFC 1918, RFC 4193, RFC 6598), or one that VPNs make
    /// up (RFC 2544).
    Private,
    /// Nothing that an authorization server can be in.
    Special,
}

/// An address that a login does not contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {network}: {}", remedy(*network))]
pub struct AddressRefused {
    /// The host as the URL names it.
    pub host: String,
    /// Where it is.
    pub network: Network,
}

impl Reach {
    /// Whether this address may be contacted.
    pub fn allows(self, address: IpAddr) -> bool {
        match Network::of(address) {
            Network::Public | Network::Loopback => true,
            Network::Private => self == Self::Private,
            Network::Special => false,
        }
    }
}

impl Network {
    /// The network of this address. An IPv4 address inside an IPv6 one counts as itself.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Network {
    match address.octets() {
        [127, ..] => Network::Loopback,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => Network::Private,
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Network::Special,
        _ => Network::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Network {
    if address.is_loopback() {
        return Network::Loopback;
    }
    if let Some(address) = address.to_ipv4_mapped() {
        return of_v4(address);
    }
    match address.segments() {
        // A NAT64 (RFC 6052) passes on to the IPv4 address in the last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            match of_v4(Ipv4Addr::new(a, b, c, d)) {
                // This would be the gateway itself.
                Network::Loopback => Network::Special,
                elsewhere @ (Network::Public | Network::Private | Network::Special) => elsewhere,
            }
        }
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Network::Private,
        // Protocol assignments with Teredo, 6to4 and documentation, inside what is public.
        [0x2001, ..=0x01ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, ..=0x0fff, ..] => {
            Network::Special
        }
        [0x2000..=0x3fff, ..] => Network::Public,
        _ => Network::Special,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "this machine under another name",
            Self::Private => "in a private network",
            Self::Special => "at no address of a server",
        })
    }
}

fn remedy(network: Network) -> &'static str {
    match network {
        Network::Private => "the program must be configured to log in there",
        Network::Public | Network::Loopback | Network::Special => {
            "check the address, and beware of whoever gave it"
        }
    }
}

/// Whether this name is the machine itself (RFC 6761 section 6.3), whatever a resolver says.
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(network(address), Network::Public, "{address}");
        }
    }

    #[test]
    fn private_networks_are_contacted_only_if_that_was_chosen() {
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
        ] {
            assert_eq!(network(address), Network::Private, "{address}");
            assert!(!Reach::Public.allows(address.parse().unwrap()), "{address}");
            assert!(Reach::Private.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn no_choice_lets_a_login_contact_what_is_no_server() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b::127.0.0.1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(network(address), Network::Special, "{address}");
            assert!(!Reach::Private.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn loopback_is_loopback_in_each_of_its_forms() {
        for address in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(network(address), Network::Loopback, "{address}");
        }
        for name in ["localhost", "LocalHost.", "a.localhost"] {
            assert!(is_localhost(name), "{name}");
        }
        assert!(!is_localhost("localhost.example"));
        assert!(!is_localhost("notlocalhost"));
    }
}
