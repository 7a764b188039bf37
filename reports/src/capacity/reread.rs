//! The inputs of a plan, from the JSON that it was printed as.

use serde::Deserialize;
use serde_json::Value;

use super::given::{Given, Inputs, Refused, Source};
use super::input;

/// An input, as a plan's JSON has it.
#[derive(Deserialize)]
struct Assumed {
    name: String,
    low: f64,
    nominal: f64,
    high: f64,
    source: Says,
}

/// Who says so.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    Stated,
    Default(serde::de::IgnoredAny),
    Measured(String),
}

/// The inputs of the plan that `json` is, which `file` is the name of.
pub fn inputs_of(json: &Value, file: &str) -> Result<Inputs, Refused> {
    let all: Vec<Assumed> =
        serde_json::from_value(json["inputs"].clone()).map_err(|e| Refused(format!("inputs: {e}")))?;
    let mut inputs = Inputs::default();
    for Assumed { name, low, nominal, high, source } in all {
        let row = input::find(&name).ok_or_else(|| Refused(format!("there is no input '{name}' any more")))?;
        let same = row.default.filter(|(value, _)| *value == nominal && low == high);
        let source = match (source, same) {
            (Says::Default(_), Some((_, why))) => Source::Default(why),
            (Says::Measured(by), _) => Source::Measured(by),
            (Says::Default(_) | Says::Stated, _) => Source::Stated,
        };
        inputs.set(row, &format!("in {file}"), Given { low, nominal, high, source })?;
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::super::{document, plan, tests};
    use super::*;
    use crate::document::markdown;

    #[test]
    fn a_plan_read_again_is_the_same_plan() {
        let first = plan(&tests::inputs(tests::TEXTBOOK)).expect("a plan");
        let json = serde_json::to_value(&first).expect("JSON");
        let again = plan(&inputs_of(&json, "plan.json").expect("inputs")).expect("a plan");
        assert_eq!(markdown(&document(&again)), markdown(&document(&first)));
    }

    #[test]
    fn an_input_that_is_none_is_refused() {
        let json =
            serde_json::json!({ "inputs": [{ "name": "x", "low": 1, "nominal": 1, "high": 1, "source": "stated" }] });
        assert!(inputs_of(&json, "p").is_err_and(|refused| refused.0.contains("'x'")));
        assert!(inputs_of(&serde_json::json!({}), "p").is_err());
    }
}
