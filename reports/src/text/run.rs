//! One run, for a person: what was done when, what was promised and tested, what broke, and how to see it again.

use std::fmt::Write;

use harness::report::{Cost, GroupWork, Outage, RunReport};

use super::{findings, invariants, page, timeline};

/// The whole report of a run. `about` is the scenario's own line; `width` is in columns.
pub fn run(report: &RunReport, about: &str, width: usize) -> String {
    let mut text = head(report, about, width);
    text.push('\n');
    text.push_str(&timeline::timeline(report, width));
    text.push('\n');
    text.push_str(&invariants::invariants(report, width));
    text.push('\n');
    text.push_str(&findings::findings(report, width));
    text.push('\n');
    text.push_str(&foot(report, width));
    text
}

fn head(report: &RunReport, about: &str, width: usize) -> String {
    let mut title = format!("{}  seed {}", report.scenario, report.seed);
    if let Some(keep) = &report.keep {
        let ids: Vec<String> = keep.iter().map(|id| format!("#{id}")).collect();
        let _ = write!(title, "  only strikes {}", if ids.is_empty() { "none".into() } else { ids.join(" ") });
    }
    if let Some(defect) = report.planted {
        let _ = write!(title, "  planted {}", defect.id());
    }
    let mut text = page::banner(&title, report.verdict, width);
    if !about.is_empty() {
        text.push_str(&page::wrap(about.split(' ').map(String::from), "", 0, width));
    }
    text
}

fn foot(report: &RunReport, width: usize) -> String {
    let last = report.knobs.len().saturating_sub(1);
    let knobs = report.knobs.iter().enumerate().map(|(i, (name, value))| {
        let comma = if i == last { "" } else { "," };
        format!("{name} {value}{comma}")
    });
    let mut text = if report.knobs.is_empty() { String::new() } else { page::wrap(knobs, "Drawn   ", 8, width) };
    text.push_str(&outages(report, width));
    text.push_str(&groups(report, width));
    text.push_str(&page::wrap(cost(&report.cost).into_iter(), "Cost    ", 8, width));
    let _ = writeln!(text, "Trace   {:016x}", report.trace);
    let _ = writeln!(text, "Replay  {}", page::paint(page::BOLD, &report.replay));
    text
}

/// How long nothing was acknowledged around strikes; nothing if none struck.
pub(super) fn outages(report: &RunReport, width: usize) -> String {
    match report.outages.is_empty() {
        true => String::new(),
        false => page::wrap(report.outages.iter().flat_map(outage), "Outages ", 8, width),
    }
}

/// How long nothing was acknowledged around the strikes of one fault, in words.
fn outage(outage: &Outage) -> Vec<String> {
    let Outage { fault, count, p50_ms, p99_ms, max_ms } = outage;
    let text = format!("{fault} x{count}: median {p50_ms} ms, p99 {p99_ms} ms, longest {max_ms} ms;");
    text.split(' ').map(String::from).collect()
}

/// What consumer groups did; nothing if there was none.
pub(super) fn groups(report: &RunReport, width: usize) -> String {
    match report.groups.is_empty() {
        true => String::new(),
        false => page::wrap(report.groups.iter().flat_map(group), "Groups  ", 8, width),
    }
}

fn group(group: &GroupWork) -> Vec<String> {
    let [rounds, handoffs] = [group.rounds, group.handoffs].map(page::count);
    let [delivered, again] = [group.delivered, group.again].map(page::count);
    let hottest = group.hottest_per_mille / 10;
    let GroupWork { group, idle_p50_ms, idle_p99_ms, idle_max_ms, lag_p50, lag_p99, lag_max, .. } = group;
    let idle = format!("idle for {idle_p50_ms} ms (median), {idle_p99_ms} ms (p99), {idle_max_ms} ms (longest)");
    let lag = format!("behind by {lag_p50} (median), {lag_p99} (p99), {lag_max} (most)");
    let text = format!(
        "group-{group}: {rounds} generations, {handoffs} hand-offs, {idle}, {delivered} records delivered, {again} of them again, {hottest} % from one partition, {lag};"
    );
    text.split(' ').map(String::from).collect()
}

fn cost(cost: &Cost) -> Vec<String> {
    let speed = cost.world_ns.checked_div(cost.cpu_ns).unwrap_or(0);
    let fetched = match cost.snapshots_fetched {
        0 => String::new(),
        count => format!(", {} metadata snapshots fetched", page::count(count)),
    };
    [
        format!("{} s simulated in {} s of CPU ({speed}x),", page::seconds(cost.world_ns), page::seconds(cost.cpu_ns)),
        format!("{} steps, {} events,", page::count(cost.steps), page::count(cost.events)),
        format!("{} calls, {} acked,", page::count(cost.calls), page::count(cost.acked)),
        format!("{} delivered, {} fsyncs{fetched}", page::count(cost.delivered), page::count(cost.flushes)),
    ]
    .iter()
    .flat_map(|part| part.split(' ').map(String::from).collect::<Vec<_>>())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::run;
    use anstream::adapter::strip_str;

    fn plain(text: &str) -> String {
        strip_str(text).to_string()
    }

    #[test]
    fn a_run_that_passed() {
        insta::assert_snapshot!(plain(&run(&fixture::passed(), "a broker's process is killed", 100)));
    }

    #[test]
    fn a_run_that_failed() {
        insta::assert_snapshot!(plain(&run(&fixture::failed(), "the power goes; nothing acked may be lost", 100)));
    }

    #[test]
    fn a_run_that_showed_nothing() {
        insta::assert_snapshot!(plain(&run(&fixture::vacuous(), "", 80)));
    }

    #[test]
    fn outages_are_told_by_fault() {
        let mut report = fixture::passed();
        let (fault, count) = ("process_crash".into(), 2);
        report.outages = vec![harness::report::Outage { fault, count, p50_ms: 680, p99_ms: 900, max_ms: 901 }];
        let text = plain(&run(&report, "", 120));
        assert!(text.contains("Outages process_crash x2: median 680 ms, p99 900 ms, longest 901 ms;"), "{text}");
    }

    #[test]
    fn what_groups_did_is_told_of_each() {
        let mut report = fixture::passed();
        let idle =
            harness::report::GroupWork { idle_p50_ms: 30, idle_p99_ms: 900, idle_max_ms: 901, ..Default::default() };
        report.groups = vec![harness::report::GroupWork { rounds: 3, handoffs: 2, delivered: 1007, again: 2, ..idle }];
        report.groups[0].hottest_per_mille = 412;
        (report.groups[0].lag_p50, report.groups[0].lag_p99, report.groups[0].lag_max) = (4, 70, 71);
        let text = plain(&run(&report, "", 280));
        let told = "Groups  group-0: 3 generations, 2 hand-offs, idle for 30 ms (median), 900 ms (p99), 901 ms (longest), \
                    1,007 records delivered, 2 of them again, 41 % from one partition, behind by 4 (median), 70 (p99), 71 (most);";
        assert!(text.contains(told), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [80, 100, 140] {
            for report in [fixture::passed(), fixture::failed(), fixture::vacuous()] {
                let text = plain(&run(&report, "the power goes; nothing acked may be lost", width));
                let replay = format!("Replay  {}", report.replay);
                for line in text.lines().filter(|l| *l != replay) {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_failure_ends_in_the_line_that_plays_it_again() {
        let report = fixture::failed();
        assert_eq!(plain(&run(&report, "", 60)).lines().last(), Some(format!("Replay  {}", report.replay).as_str()));
    }
}
