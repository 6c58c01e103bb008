//! Where this process runs, by its environment. Used once, at start; fails on a variable that is set to
//! something unusable, naming it.

use std::time::Duration;

use tradepost_marketplace::doors::Environment;

/// Where a function serves when nothing says otherwise.
const LOCAL_PORT_DEFAULT: u16 = 3000;
/// Below this the scheduled functions could not finish one call and write down what came of it.
const DEADLINE_SECONDS_MIN: u64 = 20;
/// The longest that any platform lets a request take.
const DEADLINE_SECONDS_MAX: u64 = 900;

/// The platform under this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Vercel Functions, or `vercel dev`.
    Vercel,
    /// AWS Lambda, or an emulator of its Runtime API.
    Lambda,
    /// A plain process.
    Localhost,
}

/// A variable that the host itself reads, and cannot use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable} is {value:?}, which is not {wanted}")]
pub struct PlaceError {
    variable: &'static str,
    value: String,
    wanted: &'static str,
}

impl Place {
    /// Vercel's variables count first: Vercel itself runs on Lambda, so Lambda's may be set there too.
    pub fn detect(environment: &dyn Environment) -> Self {
        let set = |name| environment.var(name).is_some();
        if set("VERCEL_IPC_PATH") || set("VERCEL") {
            Self::Vercel
        } else if set("AWS_LAMBDA_RUNTIME_API") {
            Self::Lambda
        } else {
            Self::Localhost
        }
    }

    /// For logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vercel => "vercel",
            Self::Lambda => "lambda",
            Self::Localhost => "localhost",
        }
    }
}

/// The port on localhost; 0 takes a free one.
pub(crate) fn port(environment: &dyn Environment) -> Result<u16, PlaceError> {
    let set = ["PORT", "VERCEL_DEV_PORT"].into_iter().find_map(|name| Some((name, environment.var(name)?)));
    set.map_or(Ok(LOCAL_PORT_DEFAULT), |(variable, value)| {
        value.parse().map_err(|_| PlaceError { variable, value, wanted: "a port number" })
    })
}

/// What the operator says a request may take, where the platform does not tell (Lambda does).
pub(crate) fn deadline(environment: &dyn Environment) -> Result<Option<Duration>, PlaceError> {
    let variable = "TRADEPOST_DEADLINE_SECONDS";
    let Some(value) = environment.var(variable) else { return Ok(None) };
    match value.parse() {
        Ok(seconds @ DEADLINE_SECONDS_MIN..=DEADLINE_SECONDS_MAX) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(PlaceError { variable, value, wanted: "a number of seconds from 20 to 900" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [(&'static str, &'static str)]);

    impl Environment for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn vercels_variables_count_before_lambdas() {
        let lambda = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
        let cases: [(&'static [(&str, &str)], Place); 5] = [
            (&[("VERCEL", "1"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")], Place::Vercel),
            (&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("VERCEL_IPC_PATH", "/tmp/ipc")], Place::Vercel),
            (&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("PORT", "8080")], Place::Lambda),
            (&[("VERCEL_DEV_PORT", "8080")], Place::Localhost),
            (&[], Place::Localhost),
        ];
        for (variables, place) in cases {
            assert_eq!(Place::detect(&Fixed(variables)), place, "{variables:?} beside {lambda:?}");
        }
    }

    #[test]
    fn the_port_is_the_first_named_or_3000() {
        assert_eq!(port(&Fixed(&[])), Ok(3000));
        assert_eq!(port(&Fixed(&[("VERCEL_DEV_PORT", "4001")])), Ok(4001));
        assert_eq!(port(&Fixed(&[("VERCEL_DEV_PORT", "4001"), ("PORT", "0")])), Ok(0));
        let error = port(&Fixed(&[("PORT", "http")])).unwrap_err();
        assert_eq!(error.to_string(), r#"PORT is "http", which is not a port number"#);
    }

    #[test]
    fn a_deadline_that_makes_no_sense_stops_the_start() {
        assert_eq!(deadline(&Fixed(&[])), Ok(None));
        let set = |value| deadline(&Fixed(value));
        assert_eq!(set(&[("TRADEPOST_DEADLINE_SECONDS", "60")]), Ok(Some(Duration::from_mins(1))));
        assert_eq!(set(&[("TRADEPOST_DEADLINE_SECONDS", "20")]), Ok(Some(Duration::from_secs(20))));
        for wrong in [
            &[("TRADEPOST_DEADLINE_SECONDS", "19")] as &[_],
            &[("TRADEPOST_DEADLINE_SECONDS", "901")],
            &[("TRADEPOST_DEADLINE_SECONDS", "1m")],
        ] {
            assert!(set(wrong).unwrap_err().to_string().starts_with("TRADEPOST_DEADLINE_SECONDS is"), "{wrong:?}");
        }
    }
}
