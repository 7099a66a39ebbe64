//! The program `folkmoot`. What it does is in the library's `cli`.

/// Gives the memory of bursts back to the system, where that of the C library keeps much of it in its arenas.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    folkmoot::cli::main()
}
