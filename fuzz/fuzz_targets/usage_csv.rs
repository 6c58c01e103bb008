#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tradepost_fuzz::usage_csv::run(data));
