//! A login on a command line: the code, with its password or without.

/// Divides CODE or CODE:PASSWORD; `None` where there is no code. An error must not repeat the text, which may be a password.
pub fn code_and_password(text: &str) -> Option<(&str, Option<&str>)> {
    let (code, password) = match text.split_once(':') {
        Some((code, password)) => (code, Some(password)),
        None => (text, None),
    };
    (!code.is_empty()).then_some((code, password))
}
