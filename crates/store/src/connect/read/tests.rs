use secrecy::ExposeSecret as _;

use super::*;

struct Variables(Vec<(&'static str, &'static str)>);

impl Environment for Variables {
    fn var(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }
}

const STANDARD_SET: [(&str, &str); 4] = [
    ("TRADEPOST_TABLE", "the-table"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "standard-id"),
    ("AWS_SECRET_ACCESS_KEY", "standard-secret"),
];
const TABLE: [(&str, &str); 1] = [STANDARD_SET[0]];
const VERCEL_SET: [(&str, &str); 3] = [
    ("TRADEPOST_AWS_REGION", "us-west-2"),
    ("TRADEPOST_AWS_ACCESS_KEY_ID", "own-id"),
    ("TRADEPOST_AWS_SECRET_ACCESS_KEY", "own-secret"),
];
const ROLE_SET: [(&str, &str); 2] =
    [("TRADEPOST_AWS_REGION", "us-west-2"), ("TRADEPOST_AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/tradepost")];

type Set = [(&'static str, &'static str)];

fn read(on_vercel: bool, sets: &[&Set]) -> Result<StoreSettings, Vec<ConfigError>> {
    StoreSettings::read(&Variables(sets.concat()), on_vercel)
}

/// The variables that are complained about.
fn wrong(on_vercel: bool, sets: &[&Set]) -> Vec<&'static str> {
    let of = |error: ConfigError| match error {
        ConfigError::Missing { variable, .. } | ConfigError::Invalid { variable, .. } => variable,
    };
    read(on_vercel, sets).unwrap_err().into_iter().map(of).collect()
}

fn keys(settings: &StoreSettings) -> (&str, &str, Option<&str>) {
    match &settings.source {
        Source::Keys(keys) => (
            &keys.access_key_id,
            keys.secret_access_key.expose_secret(),
            keys.session_token.as_ref().map(SecretString::expose_secret),
        ),
        Source::Role(role) => panic!("{role:?}"),
    }
}

#[test]
fn standard_names_count_off_vercel() {
    let extra = [("AWS_SESSION_TOKEN", "temporary"), ("AWS_ENDPOINT_URL", "http://db:8000")];
    let settings = read(false, &[&STANDARD_SET, &VERCEL_SET, &ROLE_SET, &extra]).unwrap();
    assert_eq!((settings.table.as_str(), settings.region.as_str()), ("the-table", "eu-central-1"));
    assert_eq!(settings.endpoint.as_deref(), Some("http://db:8000"));
    assert_eq!(keys(&settings), ("standard-id", "standard-secret", Some("temporary")));
    let shown = format!("{settings:?}");
    assert!(!shown.contains("standard-secret") && !shown.contains("temporary"), "{shown}");

    let specific = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")];
    let settings = read(false, &[&STANDARD_SET, &extra, &specific]).unwrap();
    assert_eq!(settings.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    let elsewhere = [STANDARD_SET[0], ("AWS_DEFAULT_REGION", "us-east-2"), STANDARD_SET[2], STANDARD_SET[3]];
    assert_eq!(read(false, &[&elsewhere]).unwrap().region, "us-east-2");
}

#[test]
fn on_vercel_the_standard_names_do_not_count() {
    let endpoint = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("AWS_SESSION_TOKEN", "temporary")];
    let settings = read(true, &[&STANDARD_SET, &VERCEL_SET, &endpoint]).unwrap();
    assert_eq!((settings.region.as_str(), settings.endpoint.as_deref()), ("us-west-2", None));
    assert_eq!(keys(&settings), ("own-id", "own-secret", None));
    assert_eq!(wrong(true, &[&STANDARD_SET]), ["TRADEPOST_AWS_REGION", "TRADEPOST_AWS_ROLE_ARN"]);
}

#[test]
fn a_role_stands_in_for_keys_and_not_beside_them() {
    let settings = read(true, &[&TABLE, &ROLE_SET]).unwrap();
    let Source::Role(role) = settings.source else { panic!("not the role") };
    assert_eq!(role.sts, "https://sts.us-west-2.amazonaws.com/");
    assert_eq!(address("sts", "cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn/");
    for key in &VERCEL_SET[1..] {
        assert_eq!(wrong(true, &[&TABLE, &ROLE_SET, &[*key]]), ["TRADEPOST_AWS_ROLE_ARN"], "{key:?}");
    }
    for arn in [
        "role/tradepost",
        "arn:aws:iam::11112222333:role/tradepost",
        "arn:aws:iam::111122223333:user/tradepost",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:sts::111122223333:role/x",
        "arn:aws:iam::111122223333:role/a b",
        "arn:AWS:iam::111122223333:role/x",
    ] {
        assert!(!is_role(arn), "{arn}");
    }
    assert!(is_role("arn:aws-us-gov:iam::111122223333:role/path/of+it/Trade_post@x"));
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    for (on_vercel, set) in [(false, &STANDARD_SET[..]), (true, &VERCEL_SET[..]), (true, &ROLE_SET[..])] {
        let table: &Set = if on_vercel { &TABLE } else { &[] };
        for gone in 0..set.len() {
            let mut rest = set.to_vec();
            let (name, _) = rest.remove(gone);
            assert_eq!(wrong(on_vercel, &[table, &rest]), [name]);
        }
    }
    assert_eq!(wrong(false, &[]), STANDARD_SET.map(|(name, _)| name));
    let problem = read(true, &[&VERCEL_SET]).unwrap_err();
    assert_eq!(problem[0].to_string(), "TRADEPOST_TABLE is not set; set it to the name of the DynamoDB table");
}

#[test]
fn a_value_that_cannot_be_right_is_named_and_not_shown() {
    for (on_vercel, set) in [(false, &STANDARD_SET[..]), (true, &VERCEL_SET[..]), (true, &ROLE_SET[..])] {
        let table: &Set = if on_vercel { &TABLE } else { &[] };
        for index in 0..set.len() {
            let mut set = set.to_vec();
            set[index].1 = "no such\nvalue";
            assert_eq!(wrong(on_vercel, &[table, &set]), [set[index].0]);
            let shown = format!("{:?}", read(on_vercel, &[table, &set]).unwrap_err());
            assert!(!shown.contains("no such"), "{shown}");
        }
    }
    assert_eq!(wrong(false, &[&[("TRADEPOST_TABLE", "no")], &STANDARD_SET[1..]]), ["TRADEPOST_TABLE"]);
}

#[test]
fn our_own_endpoints_take_plain_http_to_loopback_only() {
    for (variable, set) in
        [("TRADEPOST_AWS_ENDPOINT_URL", &VERCEL_SET[..]), ("TRADEPOST_AWS_ENDPOINT_URL_STS", &ROLE_SET[..])]
    {
        for url in ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000", "https://aws.example"] {
            let settings = read(true, &[&TABLE, set, &[(variable, url)]]).unwrap();
            let seen = match settings.source {
                Source::Keys(_) => settings.endpoint,
                Source::Role(role) => Some(role.sts),
            };
            assert_eq!(seen.as_deref(), Some(url));
        }
        for url in
            ["http://db.example:8000", "http://127.0.0.1.example", "http://127.0.0.1@db.example", "127.0.0.1:8000"]
        {
            assert_eq!(wrong(true, &[&TABLE, set, &[(variable, url)]]), [variable], "{url}");
        }
    }
    assert_eq!(wrong(false, &[&STANDARD_SET, &[("AWS_ENDPOINT_URL", "db:8000")]]), ["AWS_ENDPOINT_URL"]);
}
