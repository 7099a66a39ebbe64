//! The program `folkmoot`. What it does is in the library's `cli`.

/// Takes less for each connection than the C library's or mimalloc, and gives the memory of bursts back to the system by
/// threads of its own, also when the server has nothing to do (docs/performance.md has the figures).
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    folkmoot::cli::main()
}
