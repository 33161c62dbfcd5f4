//! One file per subcommand: its arguments and what it does.

pub mod init;
pub mod stages;
