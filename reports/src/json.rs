//! The same results for machines: one JSON document, keys as the fields are named in the harness.

use serde::Serialize;

/// `value` as indented JSON that ends with a newline.
pub fn pretty<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

/// `value` as one line of JSON that ends with a newline: an element of a JSON Lines stream.
pub fn line<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::text::fixture;
    use harness::report::RunReport;

    #[test]
    fn a_report_survives_the_way_through_json() {
        let text = super::pretty(&fixture::failed()).unwrap();
        let back: RunReport = serde_json::from_str(&text).unwrap();
        assert_eq!(super::pretty(&back).unwrap(), text);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_line_is_one_line() {
        let line = super::line(&fixture::failed()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with('\n'));
    }
}
