//! Which settings are not shown to everyone who may look.

/// Settings that are passwords, without the numbers of channels.
const PASSWORDS: [&str; 2] = ["cloud.login_passwd", "channel.password"];
/// How the names of settings end that are programs with their arguments.
const PROGRAMS: [&str; 6] = ["command", "commit", "install", "restart", "rollback", "running"];

/// Whether a setting is a password. Its name is without the number of its channel.
pub(crate) fn is_password(general: &str) -> bool {
    let last = general.rsplit('.').next().unwrap_or_default();
    PASSWORDS.contains(&general) || last.contains("passw") || last.ends_with("token")
}

/// Whether a setting is a program, in whose arguments anything may stand. Its name is without the number of its channel.
pub(crate) fn is_program(general: &str) -> bool {
    PROGRAMS.contains(&general.rsplit(['.', '_']).next().unwrap_or_default())
}
