"""Write the shell completions of `nunet` beside this file: `./dev docs`.

They are the same for any command tree (completion calls the program), so they are kept in the
repository and a test compares them with what this would write.
"""

from __future__ import annotations

from pathlib import Path

from typer._completion_shared import get_completion_script

PROGRAM = "nunet"
FILES = {"bash": "nunet.bash", "zsh": "_nunet", "fish": "nunet.fish"}

# Typer's last line only registers the function. Autoloaded by zsh, that happens in the middle of
# the first TAB, which then completes nothing: so answer at once when called as that function.
ZSH_REGISTERS = "compdef _nunet_completion nunet"
ZSH_ANSWERS = f"""if [ "$funcstack[1]" = "_nunet" ]; then
  _nunet_completion "$@"
else
  {ZSH_REGISTERS}
fi"""


def completion(shell: str) -> str:
    """The completion script for `shell`, ending in one newline."""
    script = get_completion_script(
        prog_name=PROGRAM, complete_var="_NUNET_COMPLETE", shell=shell
    ).strip()
    if shell == "zsh":
        if not script.endswith(ZSH_REGISTERS):
            message = "cannot write the zsh completion: typer's script has another last line"
            raise ValueError(message)
        script = script.removesuffix(ZSH_REGISTERS) + ZSH_ANSWERS
    return script + "\n"


def main() -> None:
    """Write all three files."""
    folder = Path(__file__).parent
    for shell, name in FILES.items():
        (folder / name).write_text(completion(shell))


if __name__ == "__main__":
    main()
