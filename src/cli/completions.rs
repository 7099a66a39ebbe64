//! `folkmoot completions`: what makes a shell complete our arguments.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  folkmoot completions bash > ~/.local/share/bash-completion/completions/folkmoot
  folkmoot completions zsh > ~/.zfunc/_folkmoot          (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  folkmoot completions fish > ~/.config/fish/completions/folkmoot.fish";

/// Print what makes a shell complete the arguments of folkmoot
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "folkmoot", &mut script);
    super::unless_nobody_reads(io::stdout().write_all(&script).map_err(Into::into))
}
