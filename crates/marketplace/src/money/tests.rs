//! What the amounts and the texts hold, refuse and keep.

use super::*;
use proptest::prelude::*;

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

#[test]
fn a_line_rounds_half_to_even_and_only_there() {
    for (unit_price, amount, total) in [
        ("0.000025", "123600", "3.09"),
        ("0.005", "1", "0.00"),
        ("0.015", "1", "0.02"),
        ("0.025", "1", "0.02"),
        ("0.0250001", "1", "0.03"),
        ("19.99", "1", "19.99"),
        ("20", "0.483870968", "9.68"),
        ("999999.999999999", "1000", "1000000000.00"),
    ] {
        assert_eq!(line_total(price(unit_price), quantity(amount)).unwrap().to_string(), total);
    }
}

#[test]
fn what_is_not_a_decimal_is_refused() {
    for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "1 ", "0x1", "NaN", "١"] {
        assert!(matches!(bad.parse::<Money>(), Err(DecimalError::Syntax(_))), "{bad:?}");
        assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
    }
    for (bad, good) in [("0.001", "0.0100"), ("1.999", "1.990")] {
        assert!(matches!(bad.parse::<Money>(), Err(DecimalError::Range { .. })));
        assert!(good.parse::<Money>().is_ok());
    }
    assert!("1000000".parse::<Price>().is_err());
    assert!("1000000000000".parse::<Quantity>().is_err());
    assert!("0.0000000001".parse::<Quantity>().is_err());
}

#[test]
fn amounts_are_added_and_taken_away_to_the_cent() {
    let cents = Money::from_cents;
    assert_eq!((cents(309) + cents(5)).cents(), 314);
    assert_eq!((cents(309) - cents(400)).cents(), -91);
    assert_eq!((-cents(309)).cents(), -309);
    let mut sum = cents(7);
    sum += cents(5);
    assert_eq!((sum.cents(), [sum, cents(1), cents(-3)].into_iter().sum::<Money>().cents()), (12, 10));
    assert_eq!(cents(i64::MAX).checked_add(cents(1)), None);
    assert_eq!(cents(1).checked_add(cents(2)), Some(cents(3)));
    assert_eq!((cents(-1).is_negative(), cents(0).is_negative(), cents(1).is_negative()), (true, false, false));
    let read: Money = serde_json::from_str("\"12.30\"").unwrap();
    assert_eq!(
        (read.cents(), format!("{read:?}"), format!("{:?}", -read)),
        (1230, "Money(12.30)".to_owned(), "Money(-12.30)".to_owned())
    );
}

#[test]
fn an_amount_is_the_price_of_one() {
    assert_eq!(Price::from_money(Money::from_cents(1_999)), Some(price("19.99")));
    assert_eq!(Price::from_money(Money::from_cents(99_999_999)), Some(price("999999.99")));
    assert_eq!(Price::from_money(Money::from_cents(100_000_000)), None);
    assert_eq!(Price::from_money(Money::from_cents(-1)), None);
    assert_eq!(serde_json::from_str::<Price>("\"0.000025\"").unwrap(), price("0.000025"));
}

#[test]
fn a_part_of_nothing_is_none_and_no_part_is_zero() {
    assert_eq!(Quantity::ratio(0, 5), Some(Quantity::ZERO));
    assert_eq!(Quantity::ratio(5, 5), Some(Quantity::ONE));
    assert_eq!(Quantity::ratio(1, 3), Some(quantity("0.333333333")));
    for (part, whole) in [(-1, 5), (1, 0), (0, 0), (1, -1)] {
        assert_eq!(Quantity::ratio(part, whole), None, "{part} of {whole}");
    }
    assert_eq!(quantity("2").saturating_sub(quantity("0.5")), quantity("1.5"));
    assert_eq!(quantity("2").saturating_sub(quantity("2")), Quantity::ZERO);
    assert_eq!(quantity("2").saturating_sub(quantity("3")), Quantity::ZERO);
}

#[test]
fn a_text_is_shown_as_it_came() {
    let decimal: Decimal = serde_json::from_str("\"0.0100\"").unwrap();
    assert_eq!((decimal.to_string(), format!("{decimal:?}")), ("0.0100".to_owned(), "Decimal(0.0100)".to_owned()));
    let number: Number = serde_json::from_str("5e-7").unwrap();
    assert_eq!((number.to_string(), format!("{number:?}")), ("5e-7".to_owned(), "Number(5e-7)".to_owned()));
}

#[test]
fn a_negative_amount_cannot_be_sent() {
    assert!(serde_json::to_string(&Money::from_cents(-1)).is_err());
    assert_eq!(serde_json::to_string(&Money::from_cents(5)).unwrap(), "\"0.05\"");
}

#[test]
fn a_quantity_is_a_json_number_with_its_own_digits() {
    let text = "123456789012.123456789";
    let read: Quantity = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert_eq!(serde_json::from_str::<Quantity>("\"1.50\"").unwrap().to_string(), "1.5");
    assert!(serde_json::from_str::<Quantity>("1e3").is_err());
    assert!(serde_json::from_str::<Quantity>("-1").is_err());
}

#[test]
fn a_ratio_is_rounded_to_nine_places() {
    assert_eq!(Quantity::ratio(15, 31).unwrap().to_string(), "0.483870968");
    assert_eq!(Quantity::ratio(31, 31).unwrap(), Quantity::ONE);
    assert_eq!(Quantity::ratio(1, 0), None);
}

proptest! {
    #[test]
    fn money_survives_its_text(cents in 0_i64..10_i64.pow(16)) {
        let money = Money::from_cents(cents);
        prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
    }

    #[test]
    fn quantities_survive_their_text(nano in 0_i128..10_i128.pow(21)) {
        let amount = Quantity::from_nano(nano).unwrap();
        prop_assert_eq!(amount.to_string().parse::<Quantity>().unwrap(), amount);
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Quantity>(&json).unwrap(), amount);
    }

    #[test]
    fn a_line_is_within_half_a_cent_of_its_product(p in 0_i128..10_i128.pow(13), q in 0_i128..10_i128.pow(18)) {
        let total = line_total(Price::from_nano(p).unwrap(), Quantity::from_nano(q).unwrap()).unwrap();
        let error = p * q - i128::from(total.cents()) * 10_i128.pow(16);
        prop_assert!(error.abs() * 2 <= 10_i128.pow(16));
    }
}

#[test]
fn a_decimal_is_its_text() {
    let long = format!("{}.{}", "9".repeat(60), "0".repeat(60));
    for text in ["0", "00", "007.50", "1.50", "0.000025", "3.09", "123456789012345678901234567890.1", &long] {
        let json = format!("\"{text}\"");
        let read: Decimal = serde_json::from_str(&json).unwrap();
        assert_eq!((read.as_str(), serde_json::to_string(&read).unwrap()), (text, json));
    }
    for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "1 ", "0x1", "NaN", "1.2.3", "١", "1\u{0}"] {
        assert!(matches!(Decimal::new(bad), Err(DecimalError::Syntax(_))), "{bad:?}");
        assert!(serde_json::from_str::<Decimal>(&serde_json::to_string(bad).unwrap()).is_err(), "{bad:?}");
    }
    assert!(serde_json::from_str::<Decimal>("1.50").is_err(), "a number is not a decimal string");
    let bytes = DECIMAL_BYTES_MAX + 1;
    assert!(Decimal::new("1".repeat(DECIMAL_BYTES_MAX)).is_ok());
    assert_eq!(Decimal::new("1".repeat(bytes)), Err(DecimalError::TooLong { bytes }));
    assert_eq!(Number::new("1".repeat(bytes)), Err(DecimalError::TooLong { bytes }));
}

#[test]
fn a_decimal_is_an_amount_only_where_it_is_one_exactly() {
    let decimal = |text: &str| Decimal::new(text).unwrap();
    for (text, cents) in
        [("0013.00", 1300), ("13", 1300), ("0.1", 10), ("0.0100", 1), ("99999999999999.99", 9_999_999_999_999_999)]
    {
        assert_eq!(decimal(text).money(), Ok(Money::from_cents(cents)), "{text}");
    }
    for finer_or_larger in ["0.001", "13.005", "100000000000000", &"9".repeat(60), "0.000000000000000000000000001"] {
        assert!(matches!(decimal(finer_or_larger).money(), Err(DecimalError::Range { .. })), "{finer_or_larger}");
    }
    assert_eq!(decimal("0.0000250").price(), Ok(price("0.000025")));
    assert!(decimal("0.0000000001").price().is_err() && decimal("1000000").price().is_err());

    assert_eq!(Decimal::try_from(Money::from_cents(5)).unwrap().as_str(), "0.05");
    assert_eq!(Decimal::from(price("0.000025")).as_str(), "0.000025");
    let error = Decimal::try_from(Money::from_cents(-1)).unwrap_err();
    assert_eq!(error, DecimalError::Negative("-0.01".to_owned()));
    assert!(error.to_string().contains("(spec A, Decimal)"), "{error}");
    assert_eq!(Number::try_from(Money::from_cents(-1)), Err(error));
}

#[test]
fn a_number_keeps_its_text_in_every_notation() {
    let long = format!("{}.{}e-40", "7".repeat(60), "1".repeat(60));
    for text in
        ["0", "-0", "-1.5", "1.50", "5e-7", "5E+07", "1e400", "-2.50E-3", "123456789012345678901234567890", &long]
    {
        let read: Number = serde_json::from_str(text).unwrap();
        assert_eq!((read.as_str(), serde_json::to_string(&read).unwrap().as_str()), (text, text));
        assert_eq!(Number::new(text).as_ref(), Ok(&read));
        assert_eq!(serde_json::from_str::<Vec<Number>>(&format!("[ {text} ]")).unwrap(), [read]);
    }
    for bad in [
        "", "-", "+1", "01", "-01", ".5", "1.", "1e", "1e+", "e5", "1e5.0", "0x1", "NaN", "Infinity", "1 ", "true",
        "null", "{}", "[]",
    ] {
        assert_eq!(Number::new(bad), Err(DecimalError::NotANumber(bad.to_owned())));
        assert!(serde_json::from_str::<Number>(bad).is_err() || bad == "1 ", "{bad}");
    }
    assert_eq!(serde_json::from_str::<Number>("\"1.50\"").unwrap().as_str(), "1.50");
}

#[test]
fn a_number_is_a_quantity_only_where_it_is_one_exactly() {
    for (text, plain) in [
        ("5e-7", "0.0000005"),
        ("1.25E-7", "0.000000125"),
        ("12.5e-1", "1.25"),
        ("125e-2", "1.25"),
        ("1e3", "1000"),
        ("1.5e+3", "1500"),
        ("1.2345e2", "123.45"),
        ("0e0", "0"),
        ("0e999999999999999999999999", "0"),
        ("-0.0e-5", "0"),
        ("0.1", "0.1"),
        ("1000000000000000e-5", "10000000000"),
        ("0.000000000000000001e18", "1"),
        ("123456789012.123456789000", "123456789012.123456789"),
        ("999999999999.999999999", "999999999999.999999999"),
    ] {
        assert_eq!(Number::new(text).unwrap().quantity().map(|it| it.to_string()), Ok(plain.to_owned()), "{text}");
    }
    for beyond in
        ["1e-10", "1e12", "1e33", "1e-33", "1e99999999999999999999", "1e-99999999999999999999", "0.1234567891"]
    {
        assert!(matches!(Number::new(beyond).unwrap().quantity(), Err(DecimalError::Range { .. })), "{beyond}");
    }
    for negative in ["-1", "-1e2", "-0.000000001"] {
        assert!(matches!(Number::new(negative).unwrap().quantity(), Err(DecimalError::Negative(_))), "{negative}");
    }
    assert_eq!(Number::from(quantity("0.10")).as_str(), "0.1");
}

#[test]
fn a_number_of_cents_or_dollars_is_money_only_where_it_is_exactly() {
    for cents in [0, 1, -1, 1234, i64::MAX, i64::MIN] {
        let money = Money::from_cents(cents);
        assert_eq!(Number::from_cents(money).cents(), Ok(money));
    }
    assert_eq!(Number::new("1.2e1").unwrap().cents(), Ok(Money::from_cents(12)));
    assert!(Number::new("1.5").unwrap().cents().is_err());
    assert!(Number::new("9223372036854775808").unwrap().cents().is_err());
    assert_eq!(Number::new("12.50").unwrap().dollars(), Ok(Money::from_cents(1250)));
    assert!(Number::new("12.505").unwrap().dollars().is_err());
    assert_eq!(Number::try_from(Money::from_cents(1250)).unwrap().as_str(), "12.50");
}

proptest! {
    #[test]
    fn decimals_and_numbers_of_any_length_survive_to_the_byte(
        decimal in r"[0-9]{1,80}(\.[0-9]{1,80})?",
        number in r"-?(0|[1-9][0-9]{0,80})(\.[0-9]{1,80})?([eE][+-]?[0-9]{1,30})?",
    ) {
        let json = format!("\"{decimal}\"");
        prop_assert_eq!(serde_json::to_string(&serde_json::from_str::<Decimal>(&json).unwrap()).unwrap(), json);
        let read: Number = serde_json::from_str(&number).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), number);
        // Neither panics, whatever the digits.
        let _ = (read.quantity(), read.cents(), read.dollars());
    }

    #[test]
    fn a_shifted_number_is_the_same_quantity(nano in 0_i128..10_i128.pow(21), zeros in 0_usize..40) {
        let quantity = Quantity::from_nano(nano).unwrap();
        let padding = "0".repeat(zeros);
        let digits = nano.to_string().len() + zeros;
        let small = format!("0.{padding}{nano}e{}", i64::try_from(digits).unwrap() - 9);
        let large = format!("{nano}{padding}e-{}", zeros + 9);
        for same in [large, small, format!("{quantity}E+000"), quantity.to_string()] {
            prop_assert_eq!(Number::new(same).unwrap().quantity(), Ok(quantity));
        }
    }

    #[test]
    fn amounts_survive_as_decimals(cents in 0_i64..10_i64.pow(16), nano in 0_i128..10_i128.pow(15)) {
        let money = Money::from_cents(cents);
        prop_assert_eq!(Decimal::try_from(money).unwrap().money(), Ok(money));
        let price = Price::from_nano(nano).unwrap();
        prop_assert_eq!(Decimal::from(price).price(), Ok(price));
    }
}
