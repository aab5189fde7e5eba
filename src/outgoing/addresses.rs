//! Which addresses a name of somebody else's may lead to. A name that suddenly leads into a private network, or to the service
//! that tells machines in a cloud their secrets, is not asked, and does not get the key.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver that lets only public addresses through.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed = check(&host, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, if none of them is private. One that is means that whoever answers for the name cannot be
/// trusted with the others either. `localhost` says itself that it is this machine.
fn check(host: &str, found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let is_meant = host == "localhost";
    match found.iter().find(|address| !is_meant && !is_public(address.ip())) {
        None => Ok(found),
        Some(private) => Err(io::Error::other(format!(
            "`{host}` leads to {}, which is no public address\nhint: if that is meant, set \
             `allow_private_addresses: true` there",
            private.ip()
        ))),
    }
}

/// Whether an address belongs to the public network: not to this machine, a private network, a link, a shared
/// carrier's network, documentation, or a group.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => {
                let [first, second, ..] = v6.segments();
                let is_unique_local = first & 0xfe00 == 0xfc00;
                let is_link_local = first & 0xffc0 == 0xfe80;
                let is_documentation = first == 0x2001 && second == 0x0db8;
                // 64:ff9b::/96 leads to IPv4 addresses by translation.
                let is_translated = first == 0x0064 && second == 0xff9b;
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || is_unique_local
                    || is_link_local
                    || is_documentation
                    || is_translated)
            }
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (b == 18 || b == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_benchmark
        || a == 0
        || a >= 240)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked() {
        for (address, expected) in [
            ("93.184.215.14", true),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.18.0.1", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn one_private_address_spoils_a_name() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect()
        };
        assert_eq!(check("api.example.com", addresses(&["93.184.215.14"])).unwrap().len(), 1);
        assert_eq!(check("localhost", addresses(&["127.0.0.1"])).unwrap().len(), 1);
        let error = check("api.example.com", addresses(&["93.184.215.14", "169.254.169.254"])).unwrap_err().to_string();
        assert!(error.contains("`api.example.com` leads to 169.254.169.254"), "{error}");
        assert!(error.contains("hint: if that is meant, set `allow_private_addresses: true` there"), "{error}");
    }
}
