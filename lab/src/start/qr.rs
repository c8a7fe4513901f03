//! A QR code as text of a terminal.

use qrcode::{Color, EcLevel, QrCode};

/// Modules of free room around the code that readers need (ISO/IEC 18004, 9.1).
const QUIET: usize = 4;
/// Columns of the narrowest terminal.
const COLUMNS: usize = 80;

/// How the modules become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Black on white by colours of the terminal, whatever its own are.
    Colours,
    /// Characters alone, for a terminal with light letters on a dark ground.
    LightOnDark,
    /// Characters alone, for a terminal or a paper with dark letters on a light ground.
    DarkOnLight,
}

/// The lines of a code that says `text`, two rows of modules in each line; `None` where the code is wider than 80 columns.
pub fn code(text: &str, paint: Paint) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width() + 2 * QUIET;
    if width > COLUMNS {
        return None;
    }
    let modules = code.to_colors();
    let dark = |x: usize, y: usize| {
        let inside = QUIET..QUIET + code.width();
        let at = |x, y| modules.get((y - QUIET) * code.width() + (x - QUIET));
        inside.contains(&x) && inside.contains(&y) && at(x, y) == Some(&Color::Dark)
    };
    // A module that is drawn is a block in the colour of letters.
    let drawn = |x, y| dark(x, y) != (paint == Paint::LightOnDark);
    let line = |y: usize| -> String {
        let half = |x| match (drawn(x, y), drawn(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        let blocks: String = (0..width).map(half).collect();
        match paint {
            Paint::Colours => format!("\x1b[30;107m{blocks}\x1b[0m\n"),
            Paint::LightOnDark | Paint::DarkOnLight => format!("{blocks}\n"),
        }
    };
    Some((0..width).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://192.168.100.200:8080/?login_code=demo";

    /// Whether each module is dark, read back from the text as an eye would.
    fn read(text: &str, light: bool) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in text.lines() {
            let line = line.trim_start_matches("\x1b[30;107m").trim_end_matches("\x1b[0m");
            let half = |upper: bool| {
                let drawn = |c| matches!((c, upper), ('█', _) | ('▀', true) | ('▄', false));
                line.chars().map(|c| drawn(c) != light).collect::<Vec<_>>()
            };
            rows.extend([half(true), half(false)]);
        }
        rows
    }

    #[test]
    fn every_paint_shows_the_same_modules_with_room_around() {
        let modules = read(&code(PAGE, Paint::Colours).unwrap(), false);
        assert_eq!(modules, read(&code(PAGE, Paint::DarkOnLight).unwrap(), false));
        assert_eq!(modules, read(&code(PAGE, Paint::LightOnDark).unwrap(), true));
        let width = modules[0].len();
        assert!(width <= 80 && modules.iter().all(|row| row.len() == width));
        let quiet = |row: &[bool]| row.iter().all(|dark| !dark);
        assert!(modules[..QUIET].iter().all(|row| quiet(row)));
        assert!(modules.iter().all(|row| quiet(&row[..QUIET]) && quiet(&row[width - QUIET..])));
        // The finder pattern in the upper left corner begins with seven dark modules.
        assert_eq!(
            modules[QUIET][QUIET..QUIET + 8],
            [true, true, true, true, true, true, true, false]
        );
    }

    #[test]
    fn what_does_not_fit_the_terminal_is_not_drawn() {
        assert_eq!(code(&"x".repeat(2000), Paint::Colours), None);
    }
}
