//! What a setting's values are. In: its argument. Out: which YAML is one, what its schema is, and what is wrong with a text.
//! What a text means says the argument's own parser alone.

use std::any::TypeId;
use std::error::Error as _;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use serde_json::{Value as Json, json};

use super::Setting;
use crate::engine::docker::is_wish;
use crate::manifest::scalar::Scalar;
use crate::manifest::tree::{Node, Value};
use crate::resource::quantity::ByteSize;

/// What one value is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `true`, `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A text, or a whole number of bytes.
    Size,
    /// A text that is a path: a relative one is relative to the file.
    Path,
    /// Any other text.
    Text,
}

impl Setting {
    fn parser(&self) -> ValueParser {
        self.argument.get_value_parser().clone()
    }

    /// What one value is.
    pub(super) fn form(&self) -> Form {
        let parser = self.parser();
        let is = |id: TypeId| parser.type_id() == id;
        if is(TypeId::of::<bool>()) {
            Form::Boolean
        } else if [TypeId::of::<u8>(), TypeId::of::<u16>(), TypeId::of::<u64>(), TypeId::of::<usize>()]
            .into_iter()
            .any(is)
        {
            Form::Number
        } else if is(TypeId::of::<ByteSize>()) {
            Form::Size
        } else if is(TypeId::of::<PathBuf>()) {
            Form::Path
        } else {
            Form::Text
        }
    }

    /// A value that is in force, for programs.
    pub(in crate::cli) fn json(&self, text: String) -> Json {
        let typed = match self.form() {
            // A variable of Docker's says yes in other words.
            Form::Boolean => Some(Json::Bool(is_wish(&text))),
            Form::Number => text.parse::<u64>().map(Json::from).ok(),
            Form::Size | Form::Path | Form::Text => None,
        };
        typed.unwrap_or(Json::String(text))
    }

    /// Whether it takes several.
    pub(in crate::cli) fn is_list(&self) -> bool {
        matches!(self.argument.get_action(), ArgAction::Append)
    }

    /// The words that are allowed, if it is one of few.
    fn choices(&self) -> Vec<String> {
        let choices = self.argument.get_possible_values();
        choices.iter().map(|choice| choice.get_name().to_owned()).collect()
    }

    /// The description: what the flag's help says.
    pub(super) fn description(&self) -> String {
        let help = self.argument.get_long_help().or(self.argument.get_help());
        help.map(ToString::to_string).unwrap_or_default()
    }

    /// The text of a value.
    ///
    /// # Errors
    /// What is expected instead, and what to do.
    pub(super) fn text<'n>(&self, node: &'n Node<'_>) -> Result<&'n str, (String, Option<&'static str>)> {
        let form = self.form();
        let wrong = |found: &str, hint| Err((format!("expected {}, found {found}", form.words()), hint));
        match &node.value {
            Value::List(_) => wrong("a list", None),
            Value::Mapping(_) => wrong("a mapping", None),
            Value::Plain(_) if node.is_null() => {
                wrong("nothing", Some("write a value, or leave the setting out"))
            }
            Value::Quoted(text) => match form {
                Form::Boolean | Form::Number => wrong("a text", Some("write it without quotes")),
                Form::Size | Form::Path | Form::Text => Ok(text),
            },
            Value::Plain(text) => match (Scalar::of(text), form) {
                (Scalar::Boolean(_), Form::Boolean)
                | (Scalar::Unsigned(_), Form::Number | Form::Size)
                | (Scalar::Text, Form::Size | Form::Path | Form::Text) => Ok(text),
                (Scalar::Boolean(_), Form::Text | Form::Path) => {
                    wrong("true or false", Some("put it in quotes"))
                }
                (Scalar::Boolean(_), _) => wrong("true or false", None),
                (Scalar::Text, _) => wrong("a text", None),
                (_, Form::Text | Form::Path) => wrong("a number", Some("put it in quotes")),
                (Scalar::Signed(number), Form::Number) => wrong(&number.to_string(), None),
                _ => wrong("a number", None),
            },
        }
    }

    /// What is wrong with a text, and what to do, by the argument's own parser.
    pub(super) fn check(&self, text: &str) -> Result<(), (String, Option<String>)> {
        let argument = Arg::new("value").long("value").value_parser(self.parser()).num_args(1);
        let argument = argument.ignore_case(self.argument.is_ignore_case_set());
        let command = Command::new("check").no_binary_name(true).arg(argument);
        let Err(error) = command.try_get_matches_from([format!("--value={text}")]) else { return Ok(()) };
        let choices = self.choices();
        if !choices.is_empty() {
            let meant = match error.get(ContextKind::SuggestedValue) {
                Some(ContextValue::String(meant)) => Some(format!("did you mean `{meant}`?")),
                _ => None,
            };
            return Err((format!("expected one of {}", choices.join(", ")), meant));
        }
        Err((error.source().map_or_else(|| "this is no value".to_owned(), ToString::to_string), None))
    }

    /// The schema of its value.
    pub(super) fn schema(&self) -> Json {
        let one = match (self.form(), self.choices()) {
            (Form::Boolean, _) => json!({"type": "boolean"}),
            (Form::Number, _) => json!({"type": "integer", "minimum": 0}),
            (Form::Size, _) => json!({"type": ["string", "integer"]}),
            (_, choices) if !choices.is_empty() => json!({"enum": choices}),
            _ => json!({"type": "string"}),
        };
        let mut schema =
            if self.is_list() { json!({"anyOf": [one, {"type": "array", "items": one}]}) } else { one };
        schema["description"] = self.description().into();
        schema
    }
}

impl Form {
    fn words(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Number => "a whole number",
            Self::Size => "a size",
            Self::Path => "a path",
            Self::Text => "a text",
        }
    }
}
