//! Brokers that are served: they say where they listen, and end cleanly or say why they cannot.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::{code, err, logquake};

#[test]
fn serve_says_where_it_listens_and_ends_cleanly_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["serve", "--listen", "127.0.0.1:0", "--flush", "always", "--data"])
        .arg(&data)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut said = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let first = said.next().expect("a line").expect("UTF-8");
    assert!(first.starts_with("serving Kafka clients on 127.0.0.1:") && !first.contains(":0 "), "{first}");
    let asked = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    assert_eq!(serve.wait().expect("ends").code(), Some(0));
    assert_eq!(said.last().expect("a line").expect("UTF-8"), "stopped");
    assert!(data.is_dir());
}

/// The first of so many free ports in a row.
fn free_ports(count: u16) -> u16 {
    let free = |port: &u16| (0..count).all(|n| std::net::TcpListener::bind(("127.0.0.1", port + n)).is_ok());
    (20_000..60_000)
        .step_by(usize::from(count))
        .skip(usize::from(std::process::id() as u16 % 4000))
        .find(free)
        .expect("free")
}

#[test]
fn three_nodes_of_one_process_become_ready_and_end_cleanly_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_ports(3);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["serve", "--nodes", "3", "--listen", &format!("127.0.0.1:{port}"), "-o", "default.replication.factor=3"])
        .arg("--data")
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let said = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let mut said = said.map(|line| line.expect("UTF-8"));
    let mut nodes: Vec<_> = said.by_ref().take(3).collect();
    nodes.sort_unstable();
    for (n, line) in (0..).zip(&nodes) {
        let expected = format!("node {n}: serving Kafka clients on 127.0.0.1:{} from ", port + n);
        assert!(line.starts_with(&expected) && line.ends_with(&format!("node-{n}")), "{line}");
    }
    assert_eq!(said.next().as_deref(), Some("the cluster is ready: every node serves"));
    let asked = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    assert_eq!(serve.wait().expect("ends").code(), Some(0));
    assert_eq!(said.last().as_deref(), Some("stopped"));
}

#[test]
fn a_node_that_cannot_listen_takes_its_process_along_and_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, data) = (free_ports(3), dir.path().to_str().expect("UTF-8"));
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port + 1)).expect("free");
    let output = logquake(&["serve", "--nodes", "3", "--listen", &format!("127.0.0.1:{port}"), "--data", data]);
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains(&format!("cannot serve on 127.0.0.1:{}", port + 1)), "{}", err(&output));
}
