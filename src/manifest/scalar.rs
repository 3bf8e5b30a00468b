//! What a text without quotes is meant as. In: the text. Out: [`Scalar`]. Never changes what a text
//! says: what a number would not show again digit for digit is no whole number.

/// A text without quotes, in the sense of YAML's core schema.
///
/// Stricter than the schema where a number's text would be lost: `010`, `0x1F`, `+5` and `.inf` are
/// texts, so that a version, a file mode or a phone number stays what was written. `yes` and `no` are
/// texts too, as in YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// `true`, `false`.
    Boolean(bool),
    /// A whole number from 0 on.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other decimal number.
    Float(f64),
    /// Everything else.
    Text,
}

impl Scalar {
    /// Reads a text that is not nothing.
    pub fn of(text: &str) -> Self {
        match text {
            "true" | "True" | "TRUE" => return Self::Boolean(true),
            "false" | "False" | "FALSE" => return Self::Boolean(false),
            _ => {}
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Self::Text;
        }
        let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        if only_digits && digits.len() > 1 && digits.starts_with('0') {
            return Self::Text;
        }
        if only_digits && let Ok(number) = text.parse() {
            return Self::Unsigned(number);
        }
        if only_digits
            && digits != "0"
            && let Ok(number) = text.parse()
        {
            return Self::Signed(number);
        }
        let decimal =
            digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        match text.parse::<f64>() {
            Ok(number) if decimal && number.is_finite() => Self::Float(number),
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn only_what_shows_again_as_it_was_written_is_a_whole_number() {
        assert_eq!(Scalar::of("4000"), Scalar::Unsigned(4000));
        assert_eq!(Scalar::of("0"), Scalar::Unsigned(0));
        assert_eq!(Scalar::of("-1"), Scalar::Signed(-1));
        for text in
            ["010", "0x1F", "0o17", "+5", "1_000", "18081:8080", "2018-07-06", "1.2.3", "yes", "no", "-", "."]
        {
            assert_eq!(Scalar::of(text), Scalar::Text, "{text}");
        }
    }

    #[test]
    fn decimal_numbers_are_numbers_and_names_of_numbers_are_not() {
        assert_eq!(Scalar::of("0.25"), Scalar::Float(0.25));
        assert_eq!(Scalar::of("-.5"), Scalar::Float(-0.5));
        assert_eq!(Scalar::of("1e3"), Scalar::Float(1000.0));
        assert_eq!(Scalar::of("99999999999999999999"), Scalar::Float(1e20));
        for text in ["inf", ".inf", "nan", "infinity", "-inf", "e5", "1e999"] {
            assert_eq!(Scalar::of(text), Scalar::Text, "{text}");
        }
        assert_eq!(Scalar::of("TRUE"), Scalar::Boolean(true));
    }
}
