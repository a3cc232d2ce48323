//! Onto a disk, and from it.

use recurrent::file::{self, SaveError};
use recurrent::*;
use std::fs;
use std::path::PathBuf;

/// A folder of the test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("recurrent-own-files-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn there_and_back() {
    let folder = folder("there");
    let path = folder.join("gru.safetensors");
    let gru = Gru::<f32>::new(3, 4);
    file::save(&path, &gru).expect("saved");
    assert_eq!(fs::read(&path).expect("there"), file::to_bytes(&gru).expect("bytes"));
    assert_eq!(file::load::<Gru<f32>>(&path).expect("loaded").weights(), gru.weights());
    // Over an old one.
    let lstm = Lstm::<f64>::new(2, 3);
    file::save(&path, &lstm).expect("saved");
    assert_eq!(file::load::<Lstm<f64>>(&path).expect("loaded").weights(), lstm.weights());
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left beside it");
    let limits = file::Limits::new().file_bytes(100);
    let refused = file::load_with::<Lstm<f64>>(&path, &limits).expect_err("too large").to_string();
    assert!(refused.starts_with(&path.display().to_string()) && refused.contains("file_bytes"), "{refused}");
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn what_is_refused_leaves_the_old_file() {
    let folder = folder("refused");
    let path = folder.join("layer.safetensors");
    file::save(&path, &Gru::<f32>::new(3, 4)).expect("saved");
    let old = fs::read(&path).expect("there");
    let own = Dense::<f32>::builder(2, 2).activation(Activation::custom("own", |x| x)).build().expect("a layer");
    let refused = file::save(&path, &own).expect_err("own");
    assert_eq!(refused, SaveError::Custom { layer: String::new(), what: "activation", name: "own".into() });
    assert_eq!(fs::read(&path).expect("there"), old);
    let missing = folder.join("no").join("layer.safetensors");
    let refused = file::save(&missing, &Gru::<f32>::new(3, 4)).expect_err("no folder").to_string();
    assert!(refused.contains("layer.safetensors: can't be written: "), "{refused}");
    let refused = file::load::<Gru<f32>>(&missing).expect_err("no folder").to_string();
    assert!(refused.contains("layer.safetensors: can't be read: "), "{refused}");
    fs::remove_dir_all(&folder).expect("removed");
}

/// What isn't an ordinary file is written to as it is: here one that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let refused = file::save("/dev/full", &Gru::<f32>::new(30, 40)).expect_err("full").to_string();
    assert!(refused.starts_with("/dev/full: can't be written: ") && refused.contains("space"), "{refused}");
}

/// A quota: the process may write no file of more than 8 KiB, and gets an error instead of a signal. The old file stays.
#[cfg(target_os = "linux")]
#[test]
fn a_quota() {
    const PATH: &str = "RECURRENT_QUOTA_PATH";
    if let Ok(path) = std::env::var(PATH) {
        // The process with the quota: this test, started by itself.
        let refused = file::save(&path, &Gru::<f32>::new(100, 100)).expect_err("too large").to_string();
        assert!(refused.starts_with(&format!("{path}: can't be written: ")), "{refused}");
        return;
    }
    let folder = folder("quota");
    let path = folder.join("gru.safetensors");
    file::save(&path, &Gru::<f32>::new(3, 4)).expect("saved");
    let old = fs::read(&path).expect("there");
    let this = std::env::current_exe().expect("a program");
    let status = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" own_files::disk::a_quota --exact"])
        .arg(this)
        .env(PATH, &path)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("a shell").success(), "the save was refused with an error that names the file");
    assert_eq!(fs::read(&path).expect("there"), old);
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left beside it");
    fs::remove_dir_all(&folder).expect("removed");
}
