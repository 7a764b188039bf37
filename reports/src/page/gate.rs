//! A gate: its steps, and what each has left.

use super::{Chapter, Input, cases, planted, run, sweep, told};
use crate::document::{Column, Row, Section, Table};
use crate::outcome::Gate;
use crate::suite;
use crate::text::{self, Step};

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["verdict", "steps", "determinism"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let gate: Gate = input.parse()?;
    let row = |step: &Step| {
        let cells =
            [step.name.clone(), text::verdict_word(step.verdict).into(), step.detail.clone(), text::span(step.wall)];
        Row::new(cells).strong(step.verdict == harness::verdict::Verdict::Fail)
    };
    let columns = vec![Column::words("step"), Column::words("verdict"), Column::words("seen"), Column::numbers("took")];
    let mut all =
        Chapter { title: "Gate".into(), verdict: Some(gate.verdict), line: line(&gate), ..Chapter::default() };
    all.sections.push(Section::part("Steps", "", Table::new(columns, gate.steps.iter().map(row).collect())));
    if let Some(determinism) = &gate.determinism {
        let cases = cases(&[suite::determinism(determinism)]);
        let line = text::determinism_line(determinism);
        all.add("determinism", Chapter { sections: vec![told(&cases)], cases, line, ..Chapter::default() });
    }
    if let Some(hunted) = &gate.planted {
        all.add("planted defects", planted::chapter(hunted));
    }
    for report in &gate.back {
        let chapter = run::chapter(report, &[], Vec::new());
        all.add(&format!("{} seed {} is back", report.scenario, report.seed), chapter);
    }
    if let Some(of) = &gate.sweep {
        all.add("sweep", sweep::chapter(of));
    }
    Ok(all)
}

impl Chapter {
    /// Takes another chapter in as a part.
    fn add(&mut self, name: &str, other: Chapter) {
        let titled = |one: Section| Section { title: format!("{} ({name})", one.title), ..one };
        self.sections.extend(other.sections.into_iter().map(titled));
        self.cases.extend(other.cases);
        let named = other.figures.into_iter().map(|one| super::Figure { name: format!("{name}: {}", one.name), ..one });
        self.figures.extend(named);
    }
}

fn line(gate: &Gate) -> String {
    let told: Vec<String> = gate.steps.iter().map(|step| format!("{}: {}", step.name, step.detail)).collect();
    told.join("; ")
}
