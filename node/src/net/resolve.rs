//! Host names in bootstrap addresses, through the system's resolver: no name service of anybody else's.

use std::{net::IpAddr, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// How long a name may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name.
const MOST: usize = 8;

/// Whether the address begins with a name.
pub(super) fn is_named(address: &Multiaddr) -> bool {
    matches!(address.iter().next(), Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)))
}

/// The address with every IP address of its name in the name's place; none if it does not resolve.
pub(super) async fn resolve(address: &Multiaddr) -> Vec<Multiaddr> {
    let (host, v4, v6) = match address.iter().next() {
        Some(Protocol::Dns(host)) => (host.into_owned(), true, true),
        Some(Protocol::Dns4(host)) => (host.into_owned(), true, false),
        Some(Protocol::Dns6(host)) => (host.into_owned(), false, true),
        _ => return vec![address.clone()],
    };
    match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), 0))).await {
        Ok(Ok(found)) => {
            let ips = found.map(|socket| socket.ip()).filter(|ip| if ip.is_ipv4() { v4 } else { v6 });
            ips.filter_map(|ip| with_ip(address, ip)).take(MOST).collect()
        }
        Ok(Err(error)) => {
            tracing::debug!(%host, %error, "the name does not resolve");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(%host, "the name took too long to resolve");
            Vec::new()
        }
    }
}

fn with_ip(address: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    address.replace(0, |_| Some(ip.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_becomes_its_addresses_and_the_rest_stays() {
        let named: Multiaddr = "/dns4/localhost/tcp/4001".parse().unwrap();
        assert!(is_named(&named));
        assert_eq!(resolve(&named).await, ["/ip4/127.0.0.1/tcp/4001".parse::<Multiaddr>().unwrap()]);
        let plain: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        assert!(!is_named(&plain));
        assert_eq!(resolve(&plain).await, [plain]);
    }
}
