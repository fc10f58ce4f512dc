"""Completion scripts for shells, written from the command line itself. Static: completing starts no Python."""

from __future__ import annotations

from collections.abc import Sequence

from admin_sync.interface import Command, Parameter

SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "admin-sync"


def script(shell: str, commands: Sequence[Command]) -> str:
    """The script for one of SHELLS, to be sourced."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _words(command: Command) -> str:
    names = [name for option in command.options for name in option.names]
    return " ".join([*command.subcommands, *names, "--help"])


def _named(command: Command) -> str:
    return " ".join(command.path)


def _valued(commands: Sequence[Command]) -> list[tuple[str, Parameter]]:
    """Options that are followed by a value, with the path of their command."""
    return [(_named(one), option) for one in commands for option in one.options if option.values or option.metavar]


def _cases(commands: Sequence[Command], reply_words: str, reply_files: str) -> str:
    """What both Bourne shells share: the command so far, then what may follow the last word, then the rest."""
    known = "|".join(f'" {_named(one)}"' for one in commands if one.path)
    lines = [
        f'    case "${{at}} ${{word}}" in {known}) at="${{at}} ${{word}}" ;; esac',
        "  done",
        '  case "${at# }:${previous}" in',
    ]
    for path, option in _valued(commands):
        pattern = "|".join(f'"{path}:{name}"' for name in option.names)
        values = " ".join(option.values)
        reply = reply_files if option.takes_path else reply_words.format(values)
        lines.append(f"    {pattern}) {reply}; return ;;")
    lines += ["  esac", '  case "${at# }" in']
    for command in commands:
        files = f"; {reply_files}" if any(one.argument and one.takes_path for one in command.parameters) else ""
        choices = " ".join(value for one in command.parameters if one.argument for value in one.values)
        words = f"{choices} {_words(command)}".strip()
        lines.append(f'    "{_named(command)}") {reply_words.format(words)}{files} ;;')
    return "\n".join([*lines, "  esac"])


def _bash(commands: Sequence[Command]) -> str:
    return f"""# bash completion for {_PROGRAM}; put it where completions are, or: eval "$({_PROGRAM} completion bash)"
_admin_sync() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" at="" word
  COMPREPLY=()
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
{_cases(commands, 'COMPREPLY+=($(compgen -W "{}" -- "$current"))', 'COMPREPLY+=($(compgen -f -- "$current"))')}
}}
complete -o filenames -F _admin_sync {_PROGRAM}
"""


def _zsh(commands: Sequence[Command]) -> str:
    return f"""#compdef {_PROGRAM}
# zsh completion for {_PROGRAM}; save it as _{_PROGRAM} in a folder of $fpath
_admin_sync() {{
  local previous="${{words[CURRENT-1]}}" at="" word
  for word in "${{(@)words[2,CURRENT-1]}}"; do
{_cases(commands, "compadd -- {}", "_files")}
}}
if [ "$funcstack[1]" = "_admin_sync" ]; then _admin_sync "$@"; else compdef _admin_sync {_PROGRAM}; fi
"""


def _fish(commands: Sequence[Command]) -> str:
    lines = [
        f"# fish completion for {_PROGRAM}; save it as ~/.config/fish/completions/{_PROGRAM}.fish",
        f"complete -c {_PROGRAM} -f",
    ]
    for command in commands:
        if command.subcommands:
            seen = " ".join(command.subcommands)
            within = f"__fish_seen_subcommand_from {command.path[0]}; and " if command.path else ""
            condition = f"{within}not __fish_seen_subcommand_from {seen}"
            lines.append(f"complete -c {_PROGRAM} -n '{condition}' -a '{seen}'")
            continue
        condition = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.path)
        for option in command.options:
            follows = f" -x -a '{' '.join(option.values)}'" if option.values else " -r" if option.metavar else ""
            follows += " -F" if option.takes_path else ""
            text = option.help.replace("\\", "\\\\").replace("'", "\\'")
            for name in option.names:
                lines.append(f"complete -c {_PROGRAM} -n '{condition}' -l {name.lstrip('-')}{follows} -d '{text}'")
        if any(one.argument and one.takes_path for one in command.parameters):
            lines.append(f"complete -c {_PROGRAM} -n '{condition}' -F")
    return "\n".join(lines) + "\n"
