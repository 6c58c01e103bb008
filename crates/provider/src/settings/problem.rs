//! What is wrong with a configuration. One line a problem: the variable, the function that needs it, the way out.
//! Never a value.

use std::fmt;

use tradepost_store::ConfigError;

use super::Function;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// Who needs it.
    pub function: Function,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not set. What to do.
    Missing(&'static str),
    /// It cannot be used. Why, and what would be right.
    Invalid(String),
}

impl Problem {
    pub(super) fn of_store(function: Function, error: &ConfigError) -> Self {
        let (variable, fault) = match *error {
            ConfigError::Missing { variable, way_out } => (variable, Fault::Missing(way_out)),
            ConfigError::Invalid { variable, why } => (variable, Fault::Invalid(why.to_owned())),
        };
        Self { variable, function, fault }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, function, fault } = self;
        match fault {
            Fault::Missing(way_out) => {
                write!(f, "{variable} is not set; the {function} function cannot start without it: {way_out}")
            }
            Fault::Invalid(why) => write!(f, "{variable} cannot be used by the {function} function: {why}"),
        }
    }
}

/// All problems of one function: a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
