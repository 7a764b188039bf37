//! How many files this process may have open, and how its nodes share them: segments of logs, and connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::nodes::Member;
use crate::screen;

/// Of a node's files, at most so many are neither: reactor, listener, connections to other nodes, fsyncs under way.
const OTHERS: u64 = 256;

/// Raises the limit as far as the system lets this process (as the JVM does for Kafka), and has each node stay within its
/// share of it: running out of files in the middle of an append would take a log off line.
pub fn share(members: &mut [Member]) {
    let each = raised() / u64::try_from(members.len().max(1)).unwrap_or(1);
    for member in members {
        let config = &mut member.config;
        let wanted = (config.max_open_files, config.max_connections);
        let (files, connections) = within(each, wanted);
        if (files, connections) != wanted {
            let node = config.node_id;
            screen::remark(&format!(
                "{node} may have {each} files open (ulimit -n): {files} segment files and {connections} connections"
            ));
        }
        (config.max_open_files, config.max_connections) = (files, connections);
    }
}

/// The soft limit after it was raised to the hard one, or as it is if that is refused.
fn raised() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // An error leaves the limit as it was, and that is what is shared.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Segment files and connections for a node that may have `each` files open.
fn within(each: u64, (files, connections): (usize, usize)) -> (usize, usize) {
    let left = usize::try_from(each - OTHERS.min(each / 4)).unwrap_or(usize::MAX);
    let files = files.min(left / 2);
    (files, connections.min(left - files))
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn what_is_wanted_is_given_where_there_is_room() {
        assert_eq!(within(1 << 20, (2048, 4096)), (2048, 4096));
        assert_eq!(within(u64::MAX, (2048, 4096)), (2048, 4096));
    }

    #[test]
    fn what_there_is_is_shared() {
        for each in [16, 64, 256, 1024, 4096, 6000] {
            let (files, connections) = within(each, (2048, 4096));
            assert!(files >= 6 && connections >= 6, "{each}: {files} and {connections}");
            assert!(u64::try_from(files + connections).unwrap() < each, "{each}: {files} and {connections}");
        }
        assert_eq!(within(1024, (2048, 4096)), (384, 384));
    }
}
