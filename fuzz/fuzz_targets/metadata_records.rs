//! The metadata log's records: hostile ones are refused, the others fold into an image without harm and are written as
//! they were read.
#![no_main]

use broker::controller::image::Image;
use broker::controller::record::MetadataRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut image = Image::default();
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(record) = MetadataRecord::from_bytes(line) else { continue };
        assert_eq!(MetadataRecord::from_bytes(&record.to_bytes()).expect("as it was written"), record);
        image.apply(&record);
    }
    let partitions: usize = image.topics().map(|topic| topic.partitions.len()).sum();
    assert_eq!(partitions, image.partition_count());
});
