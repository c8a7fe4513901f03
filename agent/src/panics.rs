//! What a panic leaves behind. The smallest programs do not know the names of the places in their source; for these,
//! the addresses on the stack are printed, which `cross/where` turns into the functions that ran.

use std::fs::{File, read_to_string};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::panic;

/// Most bytes of the stack that are read, and most addresses that are printed.
const DEPTH: usize = 8 << 10;
const MOST: usize = 64;
/// Bytes that are read at once: the stack may end sooner than `DEPTH`.
const PIECE: usize = 256;

/// Prints, after the message of each panic, the addresses on the stack of the thread.
pub fn install() {
    // Looked up at once, since a sandbox may allow no file later.
    let memory = File::open("/proc/self/mem").ok();
    let code = code();
    let message = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        message(panic);
        // Below this lie calls of the hook itself, most of which have ended.
        let here = 0_usize;
        let start = (&raw const here).addr();
        let stack = memory.as_ref().map(|memory| addresses(memory, start, &code));
        let mut line = String::from("ivt-agent: stack:");
        stack
            .iter()
            .flatten()
            .take(MOST)
            .for_each(|address| line.push_str(&format!(" {address:x}")));
        // Nobody may read what is said here.
        let _ = writeln!(io::stderr(), "{line}");
    }));
}

/// Words on the stack, from `start` on, that point into the program's code, the newest one first, as the program's file numbers
/// them: return addresses, among them some of calls that have ended.
fn addresses(memory: &File, start: usize, code: &Code) -> Vec<usize> {
    let mut found = Vec::new();
    for at in (start..start.saturating_add(DEPTH)).step_by(PIECE) {
        let mut piece = [0; PIECE];
        if memory.read_exact_at(&mut piece, at as u64).is_err() {
            break;
        }
        let (words, _) = piece.as_chunks();
        let words = words.iter().map(|word| usize::from_ne_bytes(*word));
        found.extend(words.filter(|word| code.range.contains(word)).map(|word| word - code.moved));
    }
    found.dedup();
    found
}

/// Where the program's code lies in memory.
struct Code {
    range: Range<usize>,
    /// By how much it lies higher than its file says.
    moved: usize,
}

/// The program's code. Where it cannot be told, there is none.
fn code() -> Code {
    /// Where a program begins that cannot be moved: at 64 KiB to 16 MiB, as linkers choose.
    const FIXED: Range<usize> = 0x1_0000..0x100_0001;
    let (mut range, mut first) = (0..0, None);
    let maps = read_to_string("/proc/self/maps").unwrap_or_default();
    let Ok(program) = std::env::current_exe() else { return Code { range, moved: 0 } };
    let program = program.display().to_string();
    for line in maps.lines().filter(|line| line.ends_with(&program)) {
        let mut words = line.split_ascii_whitespace();
        let bounds = words.next().and_then(|bounds| bounds.split_once('-'));
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let Some((Some(start), Some(end))) = bounds.map(|(start, end)| (hex(start), hex(end)))
        else {
            continue;
        };
        first = first.or(Some(start));
        if words.next().is_some_and(|rights| rights.contains('x')) {
            range = start..end;
        }
    }
    Code { range, moved: first.filter(|first| !FIXED.contains(first)).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn called() -> Vec<usize> {
        let here = 0_usize;
        let memory = File::open("/proc/self/mem").unwrap();
        let found = addresses(&memory, (&raw const here).addr(), &code());
        std::hint::black_box(found)
    }

    #[inline(never)]
    fn caller() -> Vec<usize> {
        std::hint::black_box(called())
    }

    #[test]
    fn the_caller_stands_on_the_stack() {
        let code = code();
        assert!(!code.range.is_empty(), "the code is found");
        let begins = caller as *const () as usize - code.moved;
        let found = caller();
        assert!(found.iter().any(|address| (begins..begins + 512).contains(address)), "{found:x?}");
        assert!(found.len() < DEPTH / size_of::<usize>());
    }

    #[test]
    fn a_stack_that_cannot_be_read_has_no_addresses() {
        let file = tempfile::tempfile().unwrap();
        assert!(addresses(&file, 0, &code()).is_empty());
    }
}
