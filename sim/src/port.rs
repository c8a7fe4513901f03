//! Ports that are taken: by whom, and what to do.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Whether `address` can be listened on at this moment. The error says who listens there and what to do.
///
/// # Errors
/// It cannot.
pub fn check(address: SocketAddr, option: &str) -> Result<(), String> {
    TcpListener::bind(address).map(drop).map_err(|error| refusal(address, option, &error))
}

/// Whether the addresses that were given by these options can be listened on together.
///
/// # Errors
/// Two of them are one: the text names both options.
pub fn apart(given: &[(SocketAddr, &str)]) -> Result<(), String> {
    for (number, (address, option)) in given.iter().enumerate() {
        let one = |other: &SocketAddr| {
            let anywhere = address.ip().is_unspecified() || other.ip().is_unspecified();
            address.port() != 0
                && other.port() == address.port()
                && (anywhere || other.ip() == address.ip())
        };
        if let Some((_, other)) = given[..number].iter().find(|(other, _)| one(other)) {
            let port = address.port();
            return Err(format!(
                "{other} and {option} are both port {port}: choose another for one"
            ));
        }
    }
    Ok(())
}

/// What a person needs to know when `address` cannot be listened on: who holds it, and which option chooses another.
pub fn refusal(address: SocketAddr, option: &str, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = match holder(port) {
                Some(holder) => format!("{holder} listens there: end it"),
                None => format!(
                    "another program listens there (`ss -lntp sport = {port}` names it): end it"
                ),
            };
            format!("cannot listen on {address}: {who}, or choose another port by {option}")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "cannot listen on {address}: ports below 1024 are for root; choose another by {option}"
            )
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "cannot listen on {address}: this machine has no such address (`ip -br address` lists those it has); \
             choose another by {option}"
        ),
        _ => format!("cannot listen on {address}: {error}; choose another by {option}"),
    }
}

/// The program that listens on a TCP port, `ivc-sim (process 12)`; `None` where that is not told, as of other users' programs.
fn holder(port: u16) -> Option<String> {
    let listening = |table: &str| {
        let text = fs::read_to_string(table).unwrap_or_default();
        let inodes = text.lines().filter_map(|line| inode(line, port));
        inodes.map(str::to_owned).collect::<Vec<_>>()
    };
    let inodes = [listening("/proc/net/tcp"), listening("/proc/net/tcp6")].concat();
    let sockets: Vec<_> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        // Beside the processes by their numbers there is `self`.
        let number = process.file_name().to_string_lossy().parse::<u32>();
        let Ok(number) = number else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let mut targets = descriptors.flatten().filter_map(|one| fs::read_link(one.path()).ok());
        if targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
        {
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {number})", name.trim()));
        }
    }
    None
}

/// The inode of the socket that a line of `/proc/net/tcp` tells of, where it listens on `port`.
fn inode(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let listens = fields.get(3) == Some(&"0A") && u16::from_str_radix(local, 16) == Ok(port);
    fields.get(9).copied().filter(|_| listens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_port_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let error = TcpListener::bind(address).unwrap_err();
        let told = refusal(address, "--http", &error);
        assert!(told.contains(&format!("(process {})", std::process::id())), "{told}");
        assert!(told.ends_with("or choose another port by --http"), "{told}");
    }

    #[test]
    fn two_options_with_one_port_are_named() {
        let told = |one: &str, two: &str| {
            apart(&[(one.parse().unwrap(), "--http"), (two.parse().unwrap(), "--rtmp")])
        };
        for (one, two) in [("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:1", "127.0.0.1:1")] {
            let error = told(one, two).unwrap_err();
            assert!(error.contains("--http and --rtmp are both port 1"), "{error}");
        }
        for (one, two) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:1", "127.0.0.2:1")] {
            told(one, two).unwrap();
        }
    }

    #[test]
    fn an_address_that_is_not_ours_is_told() {
        let address = "192.0.2.1:5000".parse().unwrap();
        let error = TcpListener::bind(address).unwrap_err();
        let told = refusal(address, "--bind", &error);
        assert!(told.contains("no such address") && told.contains("--bind"), "{told}");
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let row = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1 0 100 0";
        assert_eq!(inode(row, 8080), Some("4242"));
        assert_eq!(inode(row, 8081), None);
        assert_eq!(inode(&row.replace(" 0A ", " 01 "), 8080), None);
        assert_eq!(inode("sl local_address", 8080), None);
    }
}
