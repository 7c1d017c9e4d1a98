//! Calls of a process on its files that fail, or at which it is killed.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Calls, as the library between a process and the C library counts them.
pub const OPEN: u32 = 1;
/// Writes, also of names.
pub const WRITE: u32 = 2;
/// `fsync` and `fdatasync`.
pub const FLUSH: u32 = 4;
/// Changes of a file's length.
pub const TRUNCATE: u32 = 8;
/// Reads.
pub const READ: u32 = 16;
/// Looks at what there is.
pub const LOOK: u32 = 32;

/// Instead of an error: the process is killed, at a write in the middle of it.
pub const KILL: i32 = 0;

/// The variable that names the file of [`Control`].
pub const CONTROL: &str = "FAULTS";

/// Which calls fail, on which files.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What it means.
    pub name: &'static str,
    /// The number of the error, or [`KILL`].
    pub error: i32,
    /// The calls.
    pub calls: u32,
    /// A part of the paths of the files.
    pub part: &'static str,
}

impl Fault {
    /// These calls on files with this part in their paths.
    #[must_use]
    pub const fn new(name: &'static str, error: i32, calls: u32, part: &'static str) -> Self {
        Self { name, error, calls, part }
    }
}

/// The file that tells a process which of its calls fail; it hears at once.
#[derive(Debug)]
pub struct Control(File);

impl Control {
    /// The one at this path, made if it is not there.
    ///
    /// # Panics
    /// It cannot be opened.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(file.expect("a control file can be opened"))
    }

    /// Has all of these calls fail.
    pub fn set(&self, fault: &Fault) {
        self.set_some(fault, 0, i32::MAX);
    }

    /// Has only these calls fail: the first `times` behind the first `spared`.
    pub fn set_some(&self, fault: &Fault, spared: i32, times: i32) {
        let mut part = [0; 128];
        part[..fault.part.len()].copy_from_slice(fault.part.as_bytes());
        self.write(&0_i32.to_ne_bytes(), 8);
        self.write(&spared.to_ne_bytes(), 12);
        self.write(&times.to_ne_bytes(), 16);
        self.write(&part, 20);
        self.write(&fault.error.to_ne_bytes(), 0);
        self.write(&fault.calls.to_ne_bytes(), 4);
    }

    /// Has no call fail.
    pub fn clear(&self) {
        self.write(&[0; 8], 0);
    }

    /// How many calls have failed.
    ///
    /// # Panics
    /// The file cannot be read.
    #[must_use]
    pub fn failed(&self) -> i32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, 8).expect("a control file can be read");
        i32::from_ne_bytes(bytes)
    }

    fn write(&self, bytes: &[u8], at: u64) {
        self.0.write_all_at(bytes, at).expect("a control file can be written");
    }
}

/// The library, and the file that tells it what to do.
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    control: PathBuf,
}

impl Faults {
    /// Builds the library in a directory.
    ///
    /// # Panics
    /// There is no C compiler, which the build needs too.
    #[must_use]
    pub fn build(directory: &Path) -> Self {
        let (source, library) = (directory.join("faults.c"), directory.join("faults.so"));
        fs::write(&source, include_str!("faults.c")).expect("the directory can be written");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        assert!(built.expect("this needs a C compiler, as the build does").success());
        let control = directory.join("control");
        fs::write(&control, [0; 148]).expect("the directory can be written");
        Self { library, control }
    }

    /// Has calls of a process fail that is to be started.
    pub fn stand_before(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env(CONTROL, &self.control);
    }

    /// What tells which.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(&self.control)
    }
}
