//! The messages in `proto/generated` are those that `proto/*.proto` say.
//!
//! After a change of a `.proto` file: `INRUSH_GENERATE=1 cargo test --test differential generated`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn files(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| {
            (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())
        })
        .collect()
}

#[test]
fn generated_messages_are_those_of_the_proto_files() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let target = proto.join("generated");
    let sources: Vec<_> = fs::read_dir(&proto)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    assert_eq!(sources.len(), 12, "every file in proto/ takes part");

    let folder = tempfile::tempdir().unwrap();
    prost_build::Config::new()
        .out_dir(folder.path())
        .include_file("mod.rs")
        .compile_fds(protox::compile(&sources, [&proto]).unwrap())
        .unwrap();
    let made = files(folder.path());
    if std::env::var_os("INRUSH_GENERATE").is_some() {
        for (name, text) in &made {
            fs::write(target.join(name), text).unwrap();
        }
    }
    assert!(made == files(&target), "proto/generated is stale, see the head of this file");
}
