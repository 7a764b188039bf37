//! What is measured by name. A workload is a small file and a row of [`ALL`]; its cases differ in what it is about.

mod backlog;
mod burst;
mod catch_up_read;
mod compacted;
mod durable;
mod fan_out;
mod keyed;
mod many_partitions;
mod many_producers;
mod mixed;
mod one_in_flight;
mod recycled;
mod replication;
mod sequential_append;
mod tail_read;
mod under_faults;
mod under_rebalance;

use crate::spec::Spec;

/// One case of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name within the workload.
    pub name: String,
    /// What it does.
    pub spec: Spec,
    /// Settings that a broker of ours is started with, as `serve -o` takes them.
    pub settings: &'static [&'static str],
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, spec: Spec) -> Self {
        Self { name: name.into(), spec, settings: &[] }
    }

    /// Brokers that it needs.
    pub fn nodes(&self) -> u16 {
        u16::try_from(self.spec.replication).unwrap_or(1).max(1)
    }
}

/// A workload.
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Its cases.
    pub cases: fn() -> Vec<Case>,
}

/// All there are.
pub const ALL: &[Workload] = &[
    sequential_append::WORKLOAD,
    recycled::WORKLOAD,
    one_in_flight::WORKLOAD,
    durable::WORKLOAD,
    tail_read::WORKLOAD,
    catch_up_read::WORKLOAD,
    backlog::WORKLOAD,
    mixed::WORKLOAD,
    fan_out::WORKLOAD,
    many_partitions::WORKLOAD,
    many_producers::WORKLOAD,
    keyed::WORKLOAD,
    compacted::WORKLOAD,
    burst::WORKLOAD,
    replication::WORKLOAD,
    under_faults::WORKLOAD,
    under_rebalance::WORKLOAD,
];

/// The cases that `name` stands for: a workload's, or one of them as `workload/case`. An error says what there is.
pub fn named(name: &str) -> Result<Vec<(String, Case)>, String> {
    let (workload, wanted) = name.split_once('/').map_or((name, None), |(workload, case)| (workload, Some(case)));
    let Some(found) = ALL.iter().find(|of| of.name == workload) else {
        let valid: Vec<_> = ALL.iter().map(|of| of.name).collect();
        return Err(format!("no workload '{workload}'; there are {}", valid.join(", ")));
    };
    let all = (found.cases)();
    let names: Vec<_> = all.iter().map(|case| case.name.clone()).collect();
    let cases = all.into_iter().filter(|case| wanted.is_none_or(|wanted| case.name == wanted));
    let cases: Vec<_> = cases.map(|case| (format!("{workload}/{}", case.name), case)).collect();
    if cases.is_empty() {
        return Err(format!("{workload} has no case '{}'; it has {}", wanted.unwrap_or(""), names.join(", ")));
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_run_and_has_a_name_of_its_own() {
        let mut names = Vec::new();
        for workload in ALL {
            for (name, case) in named(workload.name).unwrap() {
                assert_eq!(case.spec.refused(), None, "{name}");
                assert_eq!(named(&name).unwrap(), [(name.clone(), case)]);
                assert!(!names.contains(&name), "{name} is there twice");
                names.push(name);
            }
        }
    }

    #[test]
    fn what_there_is_not_is_told_with_what_there_is() {
        assert!(named("sequential").unwrap_err().contains("sequential_append"));
        assert!(named("fan_out/7").unwrap_err().contains("16"));
    }
}
