//! `tradepost config example`.
//!
//! Whatever is secret is drawn at the call, also what has to be replaced: a file that is deployed as it was printed
//! fails, and opens nothing to those who have read this program.

use std::fmt::Write as _;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tradepost_marketplace::doors::Entropy;
use tradepost_provider::settings::{Function, Platform, VARIABLES, Variable};
use tradepost_provider::state::keys;

use super::{chosen, parse_function, parse_platform};
use crate::terminal::say;

/// What to print.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only what this function needs; may be repeated
    #[arg(long = "function", value_name = "NAME", value_parser = parse_function)]
    functions: Vec<Function>,
    /// Where it is to run
    #[arg(long, value_name = "vercel|lambda|localhost", value_parser = parse_platform, default_value = "vercel")]
    platform: Platform,
    /// A key of AWS KMS that is to wrap the key ring's key: prints how to make one
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

/// What stands behind a name.
enum Value {
    /// Good as it is.
    Ready(String),
    /// Only its owner knows it.
    Replace(String),
    /// Left out, for whoever wants it.
    Off(String),
}

/// Prints it.
pub fn run(args: &Args, entropy: &dyn Entropy) -> ExitCode {
    say(text(args, entropy).trim_end());
    ExitCode::SUCCESS
}

fn text(args: &Args, entropy: &dyn Entropy) -> String {
    let (functions, platform) = (chosen(&args.functions), args.platform);
    let mut text = format!(
        "# Tradepost on {name}. Checked by: tradepost config check --platform {name} --env-file FILE\n\
         # The secrets were drawn when this was printed: keep it to yourself, and out of version control.\n",
        name = platform.name()
    );
    for variable in VARIABLES {
        let readers: Vec<&str> = functions
            .iter()
            .filter(|function| variable.is_read_by(**function, platform))
            .map(|function| function.name())
            .collect();
        if readers.is_empty() {
            continue;
        }
        let whom = if readers.len() == Function::ALL.len() { "all".to_owned() } else { readers.join(", ") };
        let what = variable.what.replace('`', "");
        let line = line(variable, args, entropy);
        let _ = write!(text, "\n# {}: {what} ({whom})\n{line}\n", variable.name);
    }
    text
}

fn line(variable: &Variable, args: &Args, entropy: &dyn Entropy) -> String {
    let name = variable.name;
    if variable.set_by.contains(&args.platform) {
        return format!("# {} sets it", args.platform.name());
    }
    if let Some(key) = args.kms_key.as_deref().filter(|_| name == "TRADEPOST_KEY_RING") {
        return wrapped(key, entropy);
    }
    match value(name, args.platform, entropy) {
        Value::Ready(value) => format!("{name}={}", quoted(&value)),
        Value::Replace(value) => format!("# REPLACE by your own\n{name}={}", quoted(&value)),
        Value::Off(value) => format!("#{name}={}", quoted(&value)),
    }
}

fn value(name: &str, platform: Platform, entropy: &dyn Entropy) -> Value {
    use Value::{Off, Ready, Replace};
    let text = str::to_owned;
    match name {
        "TRADEPOST_TABLE" => Ready(text("tradepost")),
        "AWS_REGION" | "TRADEPOST_AWS_REGION" => Replace(text("us-east-1")),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "INTEGRATION_CLIENT_SECRET" => Replace(hex(entropy, 20)),
        // What `tradepost dev` serves.
        "AWS_ENDPOINT_URL_DYNAMODB" if platform == Platform::Localhost => Ready(text("http://127.0.0.1:3212")),
        "TRADEPOST_AWS_ROLE_ARN" => Replace(text("arn:aws:iam::111122223333:role/tradepost")),
        "TRADEPOST_KEY_RING" => Ready(format!("{}:{}", kid(entropy), base64(entropy, 32))),
        "INTEGRATION_CLIENT_ID" => Replace(format!("oac_{}", hex(entropy, 12))),
        "CRON_SECRET" => Ready(hex(entropy, 24)),
        "TRADEPOST_PARTNER_KEYS" => {
            let (metering, backend) = (whsec(entropy), whsec(entropy));
            Ready(format!(
                r#"[{{"id":"metering","secrets":["{metering}"],"scopes":["usage"]}},{{"id":"backend","secrets":["{backend}"],"scopes":["events","secrets","invoices","refunds","read","provisioner"]}}]"#
            ))
        }
        "TRADEPOST_PROVISIONER_URL" if platform == Platform::Localhost => Replace(text("http://127.0.0.1:4000")),
        "TRADEPOST_PROVISIONER_URL" => Replace(text("https://provisioner.example.com/tradepost")),
        "TRADEPOST_PROVISIONER_SECRET" => Ready(whsec(entropy)),
        "TRADEPOST_DASHBOARD_URL" => Off(text("https://dashboard.example.com/vercel")),
        "TRADEPOST_DEADLINE_SECONDS" => Off(text("25")),
        "TRADEPOST_LOG" => Off(text("info")),
        "PORT" => Off(text("3000")),
        _ => Off(String::new()),
    }
}

/// How to have a key made that only KMS can open.
fn wrapped(key: &str, entropy: &dyn Entropy) -> String {
    let kid = kid(entropy);
    format!(
        "# Needs functions built with `--features kms`, and the permission kms:Decrypt on that key. Make it with:\n\
         #   aws kms generate-data-key-without-plaintext --key-id {key} --key-spec AES_256 \\\n\
         #     --encryption-context tradepost-kid={kid} --query CiphertextBlob --output text\n\
         # and put what that prints behind the second colon:\n\
         #TRADEPOST_KEY_RING={kid}:kms:"
    )
}

/// Single quotes where the value has something that a shell or a reader would take for more than itself.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/+=,@".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{value}'") }
}

fn drawn(entropy: &dyn Entropy, bytes: usize) -> Vec<u8> {
    let mut drawn = vec![0; bytes];
    entropy.fill(&mut drawn);
    drawn
}

fn hex(entropy: &dyn Entropy, bytes: usize) -> String {
    keys::hex(&drawn(entropy, bytes))
}

fn base64(entropy: &dyn Entropy, bytes: usize) -> String {
    STANDARD.encode(drawn(entropy, bytes))
}

fn whsec(entropy: &dyn Entropy) -> String {
    format!("whsec_{}", base64(entropy, 32))
}

/// A key's id: rings are joined over the years, so it must not meet another.
fn kid(entropy: &dyn Entropy) -> String {
    format!("k{}", hex(entropy, 4))
}

#[cfg(test)]
mod tests {
    use tradepost_marketplace::doors::{Environment as _, SystemEntropy};

    use super::super::check;
    use super::super::dotenv::Variables;
    use super::*;

    fn printed(platform: Platform, functions: &[Function]) -> String {
        text(&Args { functions: functions.to_vec(), platform, kms_key: None }, &SystemEntropy)
    }

    #[test]
    fn what_it_prints_is_accepted_everywhere() {
        for platform in Platform::ALL {
            let variables = Variables::parse(&printed(platform, &[])).unwrap();
            for function in Function::ALL {
                assert_eq!(check::problems(&variables, platform, function), [], "{function} on {platform:?}");
                let alone = Variables::parse(&printed(platform, &[function])).unwrap();
                assert_eq!(check::problems(&alone, platform, function), [], "{function} alone on {platform:?}");
                for name in alone.names() {
                    let variable = Variable::named(name).unwrap();
                    assert!(variable.is_read_by(function, platform), "{function} does not need {name}");
                }
            }
        }
    }

    #[test]
    fn nothing_secret_is_the_same_twice() {
        for platform in Platform::ALL {
            let secrets = |text: &str| -> Vec<String> {
                let variables = Variables::parse(text).unwrap();
                let names: Vec<String> = variables.names().map(str::to_owned).collect();
                let fixed = ["TABLE", "REGION", "_URL", "_URL_DYNAMODB", "ROLE_ARN"];
                let secret = names.into_iter().filter(|name| !fixed.iter().any(|end| name.ends_with(end)));
                secret.map(|name| variables.var(&name).unwrap()).collect()
            };
            let (one, other) = (secrets(&printed(platform, &[])), secrets(&printed(platform, &[])));
            assert!(one.len() >= 4 && one.len() == other.len());
            assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{platform:?}");
        }
    }

    #[test]
    fn a_key_of_kms_is_told_how_to_make() {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/k".to_owned();
        let args = Args { functions: vec![Function::Billing], platform: Platform::Lambda, kms_key: Some(arn.clone()) };
        let text = text(&args, &SystemEntropy);
        assert!(text.contains(&format!("--key-id {arn} --key-spec AES_256")) && text.contains(":kms:"), "{text}");
        assert!(!text.contains("\nTRADEPOST_KEY_RING="), "{text}");
    }
}
