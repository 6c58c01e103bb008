//! Where this process runs, by its environment. Used once, at start; fails on a variable that is set to
//! something unusable, naming it.

use tradepost_marketplace::doors::Environment;

use crate::log;
use crate::metrics::Emf;
use crate::traces::Traces;

/// Where a function serves when nothing says otherwise.
const LOCAL_PORT_DEFAULT: u16 = 3000;

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

/// A variable that the host itself reads, and cannot use. The message has no value in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable} cannot be used: it must be {wanted}")]
pub struct PlaceError {
    /// The variable.
    pub variable: &'static str,
    /// What it must be.
    pub wanted: &'static str,
}

impl Place {
    /// Vercel's variables count first: Vercel itself runs on Lambda, so Lambda's may be set there too. `vercel dev`
    /// sets none of a deployment's, but its own, and waits for what Vercel's runtime says at its start.
    pub fn detect(environment: &dyn Environment) -> Self {
        let set = |name| environment.var(name).is_some();
        if set("VERCEL_IPC_PATH") || set("VERCEL") || set("VERCEL_DEV") {
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
    set.map_or(Ok(LOCAL_PORT_DEFAULT), |(variable, value)| parsed(variable, &value))
}

fn parsed(variable: &'static str, value: &str) -> Result<u16, PlaceError> {
    value.parse().map_err(|_| PlaceError { variable, wanted: "a port number from 0 to 65535" })
}

/// What is wrong with the variables that the host itself reads: the log's level, the port where it counts, the name
/// for metrics, and where traces go if this was built to keep any.
pub fn problems(environment: &dyn Environment, place: Place) -> Vec<PlaceError> {
    let levels = log::filter(environment, log::LEVEL_DEFAULT).is_err();
    let level = levels.then_some(PlaceError { variable: log::VARIABLE, wanted: "log levels such as info or debug" });
    let port = match place {
        Place::Lambda => None,
        Place::Localhost => port(environment).err(),
        // Vercel's runtime reads it itself, and takes another port for one that it cannot read.
        Place::Vercel => environment.var("VERCEL_DEV_PORT").and_then(|port| parsed("VERCEL_DEV_PORT", &port).err()),
    };
    let stack = Emf::of(environment, &[]).err();
    level.into_iter().chain(port).chain(stack).chain(Traces::problem(environment)).collect()
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
        let cases: [(&'static [(&str, &str)], Place); 6] = [
            (&[("VERCEL", "1"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")], Place::Vercel),
            (&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("VERCEL_IPC_PATH", "/tmp/ipc")], Place::Vercel),
            (&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("PORT", "8080")], Place::Lambda),
            (&[("VERCEL_DEV", "1"), ("VERCEL_DEV_PORT", "8080")], Place::Vercel),
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
        assert_eq!(error.to_string(), "PORT cannot be used: it must be a port number from 0 to 65535");
    }

    #[test]
    fn what_the_host_cannot_use_is_named_where_it_counts() {
        let wrong = &[("TRADEPOST_LOG", "shout"), ("PORT", "http"), ("VERCEL_DEV_PORT", "x")];
        let named = |place| problems(&Fixed(wrong), place).iter().map(|problem| problem.variable).collect::<Vec<_>>();
        assert_eq!(named(Place::Localhost), ["TRADEPOST_LOG", "PORT"]);
        assert_eq!(named(Place::Vercel), ["TRADEPOST_LOG", "VERCEL_DEV_PORT"]);
        assert_eq!(named(Place::Lambda), ["TRADEPOST_LOG"]);
        assert_eq!(problems(&Fixed(&[("PORT", "1"), ("TRADEPOST_LOG", "warn")]), Place::Localhost), []);
    }
}
