//! The command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    khagen::command::main()
}
