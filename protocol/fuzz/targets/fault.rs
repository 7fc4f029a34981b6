#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chorale_fuzz::fault::run(data);
});
