//! A capacity plan. It is a function of its inputs, which its JSON has: so it is made once more, and shown as `plan` shows it.

use super::{Chapter, Figure, Input};
use crate::capacity::{self, Answer, Plan};
use crate::document::Section;

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["brokers", "partitions", "inputs", "binds", "resources"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let json = input.json.as_ref().ok_or("it is no JSON")?;
    let inputs = capacity::inputs_of(json, input.name).map_err(|refused| refused.0)?;
    let plan = capacity::plan(&inputs).map_err(|refused| refused.0)?;
    let document = capacity::document(&plan);
    let said = json["brokers"]["nominal"].as_f64();
    let other = match said.filter(|said| *said != plan.brokers.nominal) {
        None => String::new(),
        Some(said) => format!(" The file says {said} brokers: another version of Logquake has written it."),
    };
    let sections = document.sections.into_iter().map(|one| Section { part: true, ..one }).collect();
    let (title, line) = (document.title, document.lead + &other);
    Ok(Chapter { title, line, sections, figures: figures(&plan), ..Chapter::default() })
}

fn figures(plan: &Plan) -> Vec<Figure> {
    let one = |name: &str, answer: &Answer| Figure::less(name, answer.nominal, "");
    let mut all = vec![
        one("brokers", &plan.brokers),
        one("partitions", &plan.partitions),
        one("consumers", &plan.consumers),
        Figure::less("bytes stored", plan.stored.nominal, "B"),
        Figure::neither("records a second at the peak", plan.peak.nominal, "/s"),
    ];
    all.extend(plan.resources.iter().map(|of| Figure::less(format!("brokers for {}", of.name), of.exact, "")));
    all.extend(plan.inputs.iter().map(|of| Figure::neither(format!("input {}", of.name), of.given.nominal, "")));
    all
}
