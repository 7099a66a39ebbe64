//! Every file of `fuzz/corpus` through its property, as ordinary tests: what the fuzzer once found stays found.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that the fuzz target of this name starts from.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn replay(target: &str, property: fn(&[u8])) {
    let files = corpus(target);
    assert!(!files.is_empty(), "fuzz/corpus/{target} is empty");
    for file in files {
        // A test shows what it printed only when it fails; the last line then names the file.
        println!("{}", file.display());
        property(&fs::read(&file).unwrap());
    }
}

/// One test a target, and a list of all of them.
macro_rules! replay {
    ($($test:ident: $target:ident,)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $test() {
                replay(stringify!($target), super::$target);
            }
        )*
    };
}

replay! {
    the_corpus_of_api_requests_holds: api_request,
    the_corpus_of_client_frames_holds: client_frame,
    the_corpus_of_configurations_holds: configuration,
    the_corpus_of_credentials_holds: credentials,
    the_corpus_of_filters_holds: filter,
    the_corpus_of_the_frame_reader_holds: frame_reader,
    the_corpus_of_names_holds: names,
}

#[test]
fn every_fuzz_target_has_its_property_and_its_corpus_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut targets: Vec<String> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    targets.sort();
    assert_eq!(targets, TARGETS);
}
