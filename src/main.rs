//! The program `folkmoot`. What it does is in the library's `cli`.

fn main() -> std::process::ExitCode {
    folkmoot::cli::main()
}
