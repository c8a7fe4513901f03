//! Compresses the files of the pages, and writes the tables of them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, Crc, GzBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::var("OUT_DIR")?;
    let mut tables = String::new();
    let device = "#[cfg(feature = \"device\")]\n";
    let tables_of = [
        ("PARTS", "parts", "/parts/", ""),
        ("DEVICE", "device", "/", device),
        ("API", "openapi.json", "/api/v1/", device),
    ];
    for (table, folder, prefix, condition) in tables_of {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        match Path::new(folder).is_dir() {
            true => collect(Path::new(folder), &mut files)?,
            false => files.push(folder.to_owned()),
        }
        files.sort();
        let head = format!("/// The files of `{folder}`.\n{condition}pub static {table}");
        writeln!(tables, "{head}: &[Asset] = &[")?;
        for file in &files {
            let name = file.strip_prefix(&format!("{folder}/")).unwrap_or(file);
            let text = lean(name, &fs::read_to_string(file)?)?;
            let text = text.as_bytes();
            let mut crc = Crc::new();
            crc.update(text);
            let target = format!("{out}/{}.gz", file.replace('/', "-"));
            // Without a time, so that equal sources make equal programs.
            let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
            gzip.write_all(text)?;
            fs::write(&target, gzip.finish()?)?;
            let kind = kind(name)?;
            let tag = format!("{:08x}-{}", crc.sum(), text.len());
            writeln!(
                tables,
                "    Asset {{ path: {:?}, kind: {kind:?}, tag: {:?}, gzip: include_bytes!({target:?}) }},",
                format!("{prefix}{name}"),
                format!("\"{tag}\"")
            )?;
        }
        writeln!(tables, "];\n")?;
    }
    fs::write(format!("{out}/assets.rs"), tables)?;
    Ok(())
}

/// The files below a folder, hidden ones left out.
fn collect(folder: &Path, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = path.to_str().ok_or("a file name that is not UTF-8")?.to_owned();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(text),
        }
    }
    Ok(())
}

/// A file without what only its readers need: blanks at the beginning of lines, empty lines, and comments on lines of
/// their own. Lines of scripts and styles stay lines, so that an error in a browser's console can be found.
fn lean(name: &str, text: &str) -> Result<String, String> {
    let end = match name.rsplit('.').next() {
        Some("js" | "css") => "\n",
        Some("json") => return Ok(text.lines().map(str::trim).collect()),
        _ => return Ok(text.to_owned()),
    };
    let mut lean = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        is_comment |= line.starts_with("/*") && (!line.contains("*/") || line.ends_with("*/"));
        if is_comment {
            is_comment = !line.contains("*/");
            if !is_comment && !line.ends_with("*/") {
                return Err(format!("{name}: a comment has to end its line: {line}"));
            }
            continue;
        }
        // A text over several lines would lose its blanks.
        if line.matches('`').count() % 2 == 1 {
            return Err(format!("{name}: a template has to end on its line: {line}"));
        }
        if !line.is_empty() && !line.starts_with("//") {
            lean.extend([line, end]);
        }
    }
    Ok(lean)
}

fn kind(name: &str) -> Result<&'static str, String> {
    match name.rsplit('.').next() {
        Some("html") => Ok("text/html; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        Some("json") => Ok("application/json"),
        _ => Err(format!("{name}: of no kind that a page has")),
    }
}
