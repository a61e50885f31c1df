#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each program fuzzes one of the targets")]
mod targets;

fuzz_target!(|data: &[u8]| targets::check(data));
