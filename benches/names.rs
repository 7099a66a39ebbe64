//! What it costs to find the groups that a mask matches, and the masks that match a group.

use divan::{Bencher, black_box};
use folkmoot::internals::{GroupIndex, MaskIndex};
use folkmoot::{GroupName, Mask};

fn main() {
    divan::main();
}

fn mask(text: &str) -> Mask {
    Mask::parse(text).expect("a valid mask")
}

fn name(text: &str) -> GroupName {
    GroupName::parse(text, true).expect("a valid name")
}

/// 100,000 groups, of which `sales/*` matches three.
fn index() -> GroupIndex {
    let mut index = GroupIndex::default();
    let others = (0..99_997).map(|number| format!("inbox/{number:05}"));
    let all = others.chain(["sales/africa", "sales/asia", "sales/europe"].map(str::to_owned));
    for (key, text) in all.enumerate() {
        index.insert(name(&text), key as u32);
    }
    index
}

#[divan::bench(args = ["sales/*", "*rope", "*a*e*o*e*", "sales/[a-f]?r*"])]
fn one_name_against_a_mask(bencher: Bencher, text: &str) {
    let mask = mask(text);
    bencher.bench(|| mask.matches(black_box("sales/europe")));
}

#[divan::bench(args = ["sales/*", "inbox/0000?", "*", "*9*9*"])]
fn a_mask_over_100_000_groups(bencher: Bencher, text: &str) {
    let (index, mask) = (index(), mask(text));
    bencher.bench(|| index.matching(black_box(&mask)).count());
}

#[divan::bench]
fn a_name_among_100_000(bencher: Bencher) {
    let index = index();
    bencher.bench(|| index.get(black_box("sales/europe")));
}

/// What a new group pays for the masks that others have joined.
#[divan::bench(args = [0, 10, 1_000])]
fn a_name_against_joined_masks(bencher: Bencher, masks: u32) {
    let mut index = MaskIndex::default();
    for key in 0..masks {
        index.insert(mask(&format!("team-{key:04}/*")), key);
    }
    bencher.bench(|| index.matching(black_box("sales/europe")).count());
}
