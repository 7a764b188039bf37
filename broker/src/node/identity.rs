//! Which topic a partition's directory belongs to: `partition.metadata`, as Kafka has it (KIP-516), so that a topic
//! deleted and created again under its name is not given the old one's records.

use std::io;

use crate::controller::record::TopicId;
use crate::env::Disk;
use crate::log::checkpoint::{read_text, replace};

const FILE: &str = "partition.metadata";

/// Writes it down durably.
pub(super) async fn write<D: Disk>(disk: &D, dir: &str, topic: TopicId) -> io::Result<()> {
    replace(disk, dir, FILE, format!("version: 0\ntopic_id: {}\n", topic.0).as_bytes()).await
}

/// The topic that the directory belongs to. `None`: it is not written down, or damaged.
pub(super) fn read<D: Disk>(disk: &D, dir: &str) -> io::Result<Option<TopicId>> {
    let text = match read_text(disk, &format!("{dir}/{FILE}")) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        read => read?,
    };
    let id = text.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("topic_id: ")));
    Ok(id.and_then(|id| TopicId::try_from(id.to_owned()).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::real::RealDisk;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_written_is_read() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path().to_owned()).unwrap();
        disk.create_dir("t-0").unwrap();
        assert_eq!(read(&disk, "t-0").unwrap(), None);
        let id = TopicId::draw(|| 7);
        write(&disk, "t-0", id).await.unwrap();
        assert_eq!(read(&disk, "t-0").unwrap(), Some(id));
    }
}
