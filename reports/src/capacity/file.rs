//! Inputs from a TOML file: keys are the names of inputs, values are written as on the command line.

use super::given::{Inputs, Refused};
use super::input;

/// Inputs as they are written, by name.
pub type Written = Vec<(String, String)>;

/// A file: its name, and what is in it.
pub type Named = (String, String);

/// What flags state, over what was measured, over what a TOML file states. A flag that says how much comes in takes the place
/// of all that the file says of that.
pub fn stated(file: Option<&Named>, measured: &[Named], flags: &Written) -> Result<Inputs, Refused> {
    let mut inputs = Inputs::default();
    let load =
        |name: &str| [&input::USERS.row, &input::EVENTS.row, &input::RATE.row].iter().any(|row| row.name == name);
    let rate = |name: &str| name == input::RATE.row.name;
    let flag = |so: &dyn Fn(&str) -> bool| flags.iter().any(|(name, _)| so(name));
    let replaced = |name: &str| load(name) && (flag(&rate) || rate(name) && flag(&load));
    if let Some((file, toml)) = file {
        let within = |refused: Refused| Refused(format!("{file}: {refused}"));
        for (name, text) in entries(toml).map_err(within)?.iter().filter(|(name, _)| !replaced(name)) {
            inputs.state(name, text).map_err(within)?;
        }
    }
    for (name, json) in measured {
        super::measured::measured(&mut inputs, json, name)?;
    }
    for (name, text) in flags {
        inputs.state(name, text).map_err(|refused| Refused(format!("--{refused}")))?;
    }
    Ok(inputs)
}

/// The entries of a file.
fn entries(toml: &str) -> Result<Written, Refused> {
    let table: toml::Table = toml.parse().map_err(|e: toml::de::Error| Refused(e.to_string().trim_end().into()))?;
    let entry = |(name, value): (String, toml::Value)| {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(n) => n.to_string(),
            toml::Value::Float(n) => n.to_string(),
            other => {
                let kind = other.type_str();
                return Err(Refused(format!(
                    "{name} is no amount but of type {kind}: write {name} = \"LOW..HIGH\", or a number"
                )));
            }
        };
        Ok((name, text))
    };
    table.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(of: &[(&str, &str)]) -> Written {
        of.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    fn nominal(inputs: &Inputs, row: &input::Row) -> Option<f64> {
        inputs.get(row).map(|given| given.nominal)
    }

    fn toml(text: &str) -> Named {
        ("plan.toml".into(), text.into())
    }

    const FILE: &str = "users = \"5M\"\nevents = 20\nfill = 0.6\nsize = \"400..600B\" # measured on Monday\n";

    #[test]
    fn flags_override_the_file() {
        let inputs = stated(Some(&toml(FILE)), &[], &flags(&[("fill", "80%")])).expect("inputs");
        assert_eq!(nominal(&inputs, &input::FILL.row), Some(0.8));
        assert_eq!(nominal(&inputs, &input::SIZE.row), Some(500.0));
        assert_eq!(nominal(&inputs, &input::USERS.row), Some(5e6));
        let inputs = stated(Some(&toml(FILE)), &[], &flags(&[("rate", "7/s")])).expect("inputs");
        assert_eq!((nominal(&inputs, &input::USERS.row), nominal(&inputs, &input::RATE.row)), (None, Some(7.0)));
        let inputs = stated(Some(&toml("rate = 5")), &[], &flags(&[("users", "1k"), ("events", "2")])).expect("inputs");
        assert_eq!(nominal(&inputs, &input::RATE.row), None);
    }

    #[test]
    fn what_was_measured_comes_between_them() {
        let json = r#"{"commit": {"log": 900.0, "plain": 1000.0, "ratio": [0.9, 0.8, 0.95]}}"#;
        let (file, measured) = (toml("rate = 5\ndisk-rate = \"1GB/s\""), [("log.json".into(), json.into())]);
        let inputs = stated(Some(&file), &measured, &Vec::new()).expect("inputs");
        assert_eq!(nominal(&inputs, &input::DISK_RATE.row), Some(9e8));
        let inputs = stated(Some(&file), &measured, &flags(&[("disk-rate", "2GB/s")])).expect("inputs");
        assert_eq!(nominal(&inputs, &input::DISK_RATE.row), Some(2e9));
    }

    #[test]
    fn what_is_no_input_is_refused() {
        let refusals = [
            ("user = 5", "there is no input 'user'"),
            ("users = true", "users is no amount but of type boolean"),
            ("[load]\nusers = 5", "load is no amount but of type table"),
            ("users = ", "line 1"),
            ("fill = nan", "no number"),
        ];
        for (file, why) in refusals {
            let refused = stated(Some(&toml(file)), &[], &Vec::new()).expect_err(file);
            assert!(refused.0.starts_with("plan.toml: ") && refused.0.contains(why), "{refused}");
        }
        let refused = stated(None, &[], &flags(&[("fill", "0")])).expect_err("no room at all");
        assert!(refused.0.starts_with("--fill '0': "), "{refused}");
    }
}
