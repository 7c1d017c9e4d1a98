//! Has the crate built anew when a file is added to `dist`: the compiler notices changed files
//! only.

fn main() {
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=src/shell.html");
}
