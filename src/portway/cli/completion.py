"""`portway completion SHELL`: the script that makes a shell complete portway's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
      bash   eval "$(portway completion bash)"            in ~/.bashrc
      zsh    eval "$(portway completion zsh)"             in ~/.zshrc
      fish   portway completion fish | source             in ~/.config/fish/config.fish
    """
    script = get_completion_class(shell)
    assert script is not None  # click brings all of SHELLS
    click.echo(script(ctx.find_root().command, {}, "portway", "_PORTWAY_COMPLETE").source())
