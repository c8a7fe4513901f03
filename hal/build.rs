//! Compresses the built-in profiles of cameras, which are text of 57 KB.

use std::error::Error;
use std::fs;
use std::io::Write as _;

const NAMES: &[&str] = include!("src/profile/names.in");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/profile/names.in");
    let mut texts = Vec::new();
    for name in NAMES {
        let file = format!("../configs/cameras/{name}.toml");
        println!("cargo::rerun-if-changed={file}");
        texts.extend(fs::read(&file).map_err(|e| format!("{file}: {e}"))?);
        texts.push(0);
    }
    let target = format!("{}/profiles.zlib", std::env::var("OUT_DIR")?);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&texts)?;
    fs::write(target, zlib.finish()?)?;
    Ok(())
}
