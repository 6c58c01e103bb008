#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tradepost_fuzz::webhook::run(data));
