//! The fuzzer's targets without the fuzzer: the committed corpus is replayed, and every file of it again with a few seeded
//! changes. What runs for hours with coverage is `fuzz/run`; this keeps what it found, and that the targets still hold.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (end.max(1) as u64)).expect("below end")
    }
}

/// A byte flipped, a piece doubled, cut out or taken from another file.
fn changed(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(out.len());
        let end = (at + 1 + random.below(40)).min(out.len());
        match random.below(4) {
            0 if !out.is_empty() => out[at] ^= 1 << random.below(8),
            1 => {
                let piece = out[at.min(end)..end].to_vec();
                out.splice(at..at, piece);
            }
            2 => drop(out.drain(at.min(end)..end)),
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + 40).min(other.len())];
                out.splice(at..at, piece.iter().copied());
            }
        }
    }
    out
}

fn replay(name: &str, target: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "{name}: the corpus is not there");
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
    let mut random = Random(u64::try_from(name.len()).expect("short"));
    for (bytes, path) in corpus.iter().zip(&paths) {
        let judge = |bytes: &[u8], what: &str| {
            let ended = std::panic::catch_unwind(|| target(bytes));
            if ended.is_err() {
                let kept = std::env::temp_dir().join(format!("khagen-fuzz-{name}"));
                fs::write(&kept, bytes).expect("what broke it");
                panic!("{name}: {} {what} breaks it: {}", path.display(), kept.display());
            }
        };
        judge(bytes, "itself");
        let other = &corpus[random.below(corpus.len())];
        for _ in 0..2 {
            judge(&changed(&mut random, bytes, other), "changed");
        }
    }
}

macro_rules! replayed {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            replay(stringify!($name), targets::$name);
        }
    )* };
}

replayed! { yaml toml check tarball archive pem store compare }
