use super::*;

const DEMO: &str = include_str!("../../../../catalog.toml");

const SMALL: &str = r#"
[[product]]
id = "p1"
slug = "ledger"
name = "Ledger"

[[product.meter]]
id = "queries"
units = "queries"
aggregation = "sum"
show = "interval"

[[product.plan]]
id = "pro"
name = "Pro"
type = "subscription"
scope = "resource"
payment_method_required = true
period = "month"
upgrade = "immediate"
downgrade = "period_end"

[[product.plan.charge]]
kind = "fixed"
price = "20.00"

[[product.plan.charge]]
kind = "graduated"
meter = "queries"

[[product.plan.charge.tier]]
up_to = 1000
price = "0.01"

[[product.plan.charge.tier]]
price = "0.005"
"#;

fn plan_id(text: &str) -> PlanId {
    PlanId::new(text).unwrap()
}

fn parse_changed(from: &str, to: &str) -> Result<Catalog, CatalogError> {
    assert!(SMALL.contains(from), "{from:?} is not in the catalog");
    Catalog::parse(&SMALL.replacen(from, to, 1))
}

/// The message after one change of the text.
fn refusal(from: &str, to: &str) -> String {
    parse_changed(from, to).unwrap_err().to_string()
}

#[test]
fn the_demo_catalog_has_a_free_a_fixed_and_a_metered_plan() {
    let catalog = Catalog::parse(DEMO).unwrap();
    assert_eq!(catalog.period_kind(), PeriodKind::Month);
    let product = catalog.product("ledgerbase").unwrap();
    let is_metered = |plan: &Plan| plan.charges.iter().any(|charge| charge.meter().is_some());
    let kinds: Vec<_> = product.plans.iter().map(|plan| (plan.charges.is_empty(), is_metered(plan))).collect();
    assert_eq!(kinds, [(true, false), (false, false), (false, true)]);
    let [free, team, scale] = ["ledgerbase-free-1", "ledgerbase-team-1", "ledgerbase-scale-1"].map(plan_id);
    assert_eq!(catalog.plan(&scale).unwrap().included("queries").unwrap().to_string(), "100000");
    assert!(catalog.is_upgrade(&team, &scale) && !catalog.is_upgrade(&team, &free));
    assert_eq!(catalog.change_time(&team, &scale), Some(ChangeTime::Immediate));
    assert_eq!(catalog.change_time(&team, &free), Some(ChangeTime::PeriodEnd));
    assert!(!catalog.plan(&free).unwrap().to_billing_plan().payment_method_required);
}

#[test]
fn a_small_catalog_reads_as_written() {
    let catalog = Catalog::parse(SMALL).unwrap();
    assert_eq!(catalog.product("p1"), catalog.product("ledger"));
    assert_eq!(catalog.product("other"), None);
    let plan = catalog.plan(&plan_id("pro")).unwrap();
    let tier = |up_to: Option<&str>, price: &str| Tier {
        up_to: up_to.map(|text| text.parse().unwrap()),
        price: price.parse().unwrap(),
    };
    assert_eq!(
        plan.charges,
        [
            Charge::Fixed { name: "Pro".to_owned(), price: Money::from_cents(2000) },
            Charge::Graduated {
                name: "queries".to_owned(),
                meter: "queries".to_owned(),
                tiers: vec![tier(Some("1000"), "0.01"), tier(None, "0.005")],
            },
        ]
    );
    assert_eq!(catalog.product_of(&plan.id).unwrap().id.as_str(), "p1");
    assert_eq!(catalog.change_time(&plan.id, &plan_id("gone")), None);
    let wire = serde_json::to_string(&plan.to_billing_plan()).unwrap();
    assert!(wire.contains(r#""scope":"resource","paymentMethodRequired":true"#), "{wire}");
}

#[test]
fn amounts_are_texts_and_a_float_is_refused_by_name() {
    for number in ["20.00", "20"] {
        let message = refusal(r#"price = "20.00""#, &format!("price = {number}"));
        assert!(message.contains(r#"product "p1", plan "pro", charge 1: price is a number"#), "{message}");
        assert!(message.contains("write it as a text"), "{message}");
    }
    let message = refusal(r#"price = "0.005""#, "price = 0.005");
    assert!(message.contains("charge 2, tier 2: price is a number"), "{message}");
    assert!(refusal("up_to = 1000", "up_to = 1000.5").contains("tier 1: up_to is a number"));
    assert!(refusal(r#"price = "20.00""#, "price = true").contains("price is a boolean"));
    assert!(refusal(r#"price = "20.00""#, r#"price = "20.001""#).contains("more than 14 digits before or 2 after"));
    assert!(refusal(r#"price = "20.00""#, r#"price = "-20""#).contains("is not a decimal"));
    assert!(refusal(r#"price = "20.00""#, r#"price = "1000000.00""#).contains("more than six digits"));
    assert!(refusal("up_to = 1000", "up_to = -1").contains("is not a decimal"));
}

#[test]
fn what_breaks_a_rule_is_named() {
    let plan = r#"product "p1", plan "pro""#;
    for (from, to, wanted) in [
        ("id = \"p1\"", "id = \"p/1\"", r#"product "p/1": ProductId has a character"#.to_owned()),
        ("slug = \"ledger\"", "slug = \"\"", r#"product "p1": ProductId is empty"#.to_owned()),
        ("name = \"Ledger\"", "name = \" \"", r#"product "p1": name is empty"#.to_owned()),
        ("id = \"queries\"", "id = \"Queries\"", r#"meter "Queries": an id is"#.to_owned()),
        ("meter = \"queries\"", "meter = \"reads\"", format!(r#"{plan}, charge 2: meter "reads" is not"#)),
        ("meter = \"queries\"\n", "", format!(r#"{plan}, charge 2: meter "" is not"#)),
        (
            "kind = \"fixed\"",
            "kind = \"fixed\"\nmeter = \"queries\"",
            format!("{plan}, charge 1: a charge of this kind has no meter"),
        ),
        (
            "kind = \"fixed\"",
            "kind = \"fixed\"\nincluded = 1",
            format!("{plan}, charge 1: a charge of this kind has no included"),
        ),
        (
            "kind = \"graduated\"",
            "kind = \"volume\"\nprice = \"1\"",
            format!("{plan}, charge 2: a charge of this kind has no price"),
        ),
        ("kind = \"graduated\"", "kind = \"per_unit\"", format!("{plan}, charge 2: a charge of this kind has no tier")),
        ("price = \"20.00\"", "", format!("{plan}, charge 1: it has no price")),
        ("up_to = 1000\n", "", format!("{plan}, charge 2, tier 1: every tier but the last has up_to")),
        (
            "price = \"0.005\"",
            "price = \"0.005\"\nup_to = 2000",
            format!("{plan}, charge 2, tier 2: every tier but the last"),
        ),
        ("up_to = 1000", "up_to = 0", format!("{plan}, charge 2, tier 1: up_to is not above")),
        (
            "payment_method_required = true",
            "payment_method_required = false",
            format!("{plan}: payment_method_required = false"),
        ),
        ("scope = \"resource\"", "scope = \"installation\"", format!("{plan}: a plan of scope installation has fixed")),
        ("type = \"subscription\"", "type = \"prepayment\"", format!("{plan}: a prepayment plan has no tiers")),
        (
            "kind = \"fixed\"\nprice = \"20.00\"",
            "kind = \"per_unit\"\nmeter = \"queries\"\nprice = \"1\"",
            format!("{plan}: two charges bill one meter"),
        ),
    ] {
        let message = refusal(from, to);
        assert!(message.contains(&wanted), "{to:?} gave {message:?}, wanted {wanted:?}");
    }
}

#[test]
fn the_shape_is_closed() {
    assert!(refusal("name = \"Ledger\"", "name = \"Ledger\"\ncolour = \"red\"").contains("colour"));
    assert!(refusal("aggregation = \"sum\"", "aggregation = \"average\"").contains("average"));
    assert!(refusal("scope = \"resource\"\n", "").contains("scope"));
    assert!(Catalog::parse("").unwrap_err().to_string().contains("there is no plan"));
    assert!(matches!(Catalog::parse(&" ".repeat(CATALOG_BYTES_MAX + 1)), Err(CatalogError::TooLarge { .. })));
}

#[test]
fn no_name_stands_for_two_things() {
    let second = |id: &str, slug: &str, plan: &str, period: &str| {
        let other = SMALL.replace("\"p1\"", &format!("{id:?}")).replace("\"ledger\"", &format!("{slug:?}"));
        let other = other.replace("\"pro\"", &format!("{plan:?}")).replace("\"month\"", &format!("{period:?}"));
        Catalog::parse(&format!("{SMALL}{other}"))
    };
    assert_eq!(second("p2", "p2", "pro2", "month").unwrap().products().len(), 2);
    let message = |catalog: Result<Catalog, CatalogError>| catalog.unwrap_err().to_string();
    assert!(message(second("p2", "ledger", "pro2", "month")).contains("\"ledger\" names two products"));
    assert!(message(second("p2", "p1", "pro2", "month")).contains("\"p1\" names two products"));
    assert!(message(second("p2", "l2", "pro", "month")).contains(r#"product "p2", plan "pro": its id is used"#));
    assert!(
        message(second("p2", "l2", "pro2", "anniversary")).contains("its period differs from that of plan \"pro\"")
    );
    let twice = SMALL.replacen(
        "[[product.plan]]",
        "[[product.meter]]\nid = \"queries\"\nunits = \"q\"\naggregation = \"max\"\nshow = \"total\"\n[[product.plan]]",
        1,
    );
    assert!(Catalog::parse(&twice).unwrap_err().to_string().contains("two meters have one id"));
}

#[test]
fn limits_are_kept() {
    let meter =
        |n| format!("[[product.meter]]\nid = \"m{n}\"\nunits = \"u\"\naggregation = \"sum\"\nshow = \"total\"\n");
    let meters = (0..=METERS_MAX).map(meter).collect::<Vec<_>>().concat();
    let message = refusal("[[product.plan]]", &format!("{meters}[[product.plan]]"));
    assert!(message.contains("meters, at most 20 are allowed"), "{message}");
    let charges = "[[product.plan.charge]]\nkind = \"fixed\"\nprice = \"1.00\"\n".repeat(CHARGES_MAX);
    let message = refusal("[[product.plan.charge]]", &format!("{charges}[[product.plan.charge]]"));
    assert!(message.contains("charges, at most 40 are allowed"), "{message}");
    let long = "x".repeat(NAME_CHARS_MAX + 1);
    assert!(refusal("name = \"Pro\"", &format!("name = {long:?}")).contains("more than 100 characters"));
}

#[test]
fn only_origins_may_embed_a_sign_on() {
    let with = |origin: &str| Catalog::parse(&format!("{SMALL}\n[sso]\nallowed_origins = [{origin:?}]\n"));
    for good in ["https://app.example.com", "https://app.example.com:8443", "http://127.0.0.1:3000", "http://localhost"]
    {
        assert_eq!(with(good).unwrap().allowed_origins(), [good]);
    }
    for bad in [
        "https://app.example.com/",
        "https://a.example/x",
        "http://app.example.com",
        "null",
        "*",
        "",
        "https://u@a.example",
        "https://A.example",
    ] {
        assert!(with(bad).unwrap_err().to_string().contains("is not an origin"), "{bad}");
    }
}
