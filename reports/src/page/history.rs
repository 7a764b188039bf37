//! A recorded history: judged as `check` does it, and what its events show over time.

use harness::history::file::{Header, HistoryError, Reader};
use harness::history::{Event, Kind};
use harness::judge::judge;
use harness::report::{RunReport, Struck};
use serde_json::json;

use super::owners::Owners;
use super::run;
use super::tide::Tide;
use super::{Chapter, Input};
use crate::chart::Band;

/// What a compressed file begins with (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

pub(super) fn is(input: &Input<'_>) -> bool {
    let first = input.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let says = serde_json::from_slice::<serde_json::Value>(first);
    input.bytes.starts_with(&ZSTD)
        || says.is_ok_and(|json| json.get("format").is_some_and(|it| it == "logquake-history"))
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let replay = format!("logquake check {}", input.name);
    let judged = judge(input.bytes, replay).map_err(|e| e.to_string())?;
    let report = judged.report;
    let (tide, owners) = folded(input.bytes, report.cost.world_ns).map_err(|e| e.to_string())?;
    let bands = bands(&report);
    let mut more = vec![tide.section(&bands)];
    more.extend(owners.section());
    let kept = json!({ "report": &report, "over_time": tide.rows(), "owners": owners.spans() });
    let chapter = run::chapter(&report, &judged.producers, more);
    Ok(Chapter {
        title: format!("History of {} seed {}", report.scenario, report.seed),
        json: Some(kept.to_string()),
        ..chapter
    })
}

/// Once more over all events, now that it is known how long they last.
fn folded(bytes: &[u8], until: u64) -> Result<(Tide, Owners), HistoryError> {
    let (Header { partitions, .. }, events) = Reader::new(bytes)?;
    let (mut tide, mut owners) = (Tide::new(until), Owners::new(partitions));
    for event in events {
        let event = event?;
        tide.see(&event);
        owners.see(&event);
    }
    tide.end();
    owners.end(until);
    Ok((tide, owners))
}

fn bands(report: &RunReport) -> Vec<Band> {
    let until = report.cost.world_ns;
    let band = |one: &Struck| {
        let (from, to) = (run::seconds(one.at?), run::seconds(one.healed.unwrap_or(until)));
        Some(Band { from, to, name: format!("#{}", one.strike.id) })
    };
    report.strikes.iter().filter_map(band).collect()
}

/// Which of an event's clients is gone with it.
pub(super) fn gone(event: &Event) -> Option<u32> {
    match event.kind {
        Kind::Quit { client, .. } => Some(client),
        _ => None,
    }
}
