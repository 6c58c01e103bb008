#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tradepost_fuzz::sso_query::run(data));
