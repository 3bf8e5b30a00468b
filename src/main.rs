//! The `invigil` program. Everything is in the library; see `invigil::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    invigil::cli::main()
}
