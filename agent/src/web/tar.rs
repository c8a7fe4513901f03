//! A few files as one, in the format of tar (POSIX.1-1988, "ustar").

use std::time::{SystemTime, UNIX_EPOCH};

/// Length of a block.
const BLOCK: usize = 512;

/// Puts files into one; names have up to 100 bytes.
pub(super) fn tar(files: &[(&str, Vec<u8>)], made: SystemTime) -> Vec<u8> {
    let made = made.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut tar = Vec::new();
    for (name, content) in files {
        tar.extend(head(name, content.len(), made));
        tar.extend(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn head(name: &str, length: usize, made: u64) -> [u8; BLOCK] {
    let mut head = [0; BLOCK];
    let fields = [
        (0, name.to_owned()),
        (100, "0000600\0".into()),
        (108, "0000000\0".into()),
        (116, "0000000\0".into()),
        (124, format!("{length:011o}\0")),
        (136, format!("{made:011o}\0")),
        (148, " ".repeat(8)),
        (156, "0".into()),
        (257, "ustar\x0000".into()),
    ];
    for (at, text) in &fields {
        head[*at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_system_s_tar_takes_the_files_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![b'x'; 1_000];
        let files =
            [("a/one.txt", b"one\n".to_vec()), ("a/empty.json", Vec::new()), ("a/long", long)];
        let file = folder.path().join("it.tar");
        std::fs::write(&file, tar(&files, UNIX_EPOCH)).unwrap();
        let tar = Command::new("tar").arg("-C").arg(folder.path()).arg("-xvf").arg(&file).output();
        let tar = tar.expect("there is a tar");
        assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
        for (name, content) in files {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), content, "{name}");
        }
    }
}
