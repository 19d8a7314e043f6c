"""`dpk completion`: the script that lets a shell complete dpk's command lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import Arg, Command
from dpkg.errors import Usage

if TYPE_CHECKING:
    from dpkg.command import Shown

SHELLS = ("bash", "zsh", "fish")
COMMAND = Command(
    "completion",
    "Print a script that lets a shell complete commands, options, packages, revisions, paths in packages, and remotes.",
    (Arg("shell", "bash, zsh or fish", choices=SHELLS),),
    epilog='bash: add to ~/.bashrc the line  eval "$(dpk completion bash)"\n'
    "zsh:  dpk completion zsh > DIR/_dpk, where DIR is a folder of $fpath, before compinit\n"
    "fish: dpk completion fish > ~/.config/fish/completions/dpk.fish",
    details="Packages are those of the store that the command would use, where that is a folder: no TAB waits for a network.",
    examples=(
        ("Complete in this bash:", 'eval "$(dpk completion bash)"'),
        ("Complete in every zsh:", "dpk completion zsh > ~/.zfunc/_dpk"),
    ),
    see=("config",),
)

# What '__complete' answers is told in dpkg/cli/shells.py.
_BASH = r"""# bash completion of dpk
_dpk() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        case $found in
            :file) compopt -o bashdefault -o default ;;
            :dir) compopt -o plusdirs ;;
            :nospace) compopt -o nospace ;;
            *) COMPREPLY+=("$found") ;;
        esac
    done < <("${1/#\~/$HOME}" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
}
complete -F _dpk dpk
"""

_ZSH = r"""#compdef dpk
# zsh completion of dpk
_dpk() {
    local line value said paths
    local -a whole whole_said open open_said
    for line in "${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}"; do
        value=${line%%$'\t'*} said=${line#*$'\t'}
        case $value in
            ('') ;;
            (:file) paths=file ;;
            (:dir) paths=dir ;;
            (*[/@=]) open+=("$value") open_said+=("$value${said:+  -- $said}") ;;
            (*) whole+=("$value") whole_said+=("$value${said:+  -- $said}") ;;
        esac
    done
    (( $#whole )) && compadd -l -d whole_said -a whole
    (( $#open )) && compadd -l -S '' -d open_said -a open
    if [[ -n $paths ]]; then
        compset -P '--[a-z-]#='
        if [[ $paths == dir ]]; then _files -/; else _files; fi
    fi
}
if [[ $funcstack[1] == _dpk ]]; then _dpk "$@"; else compdef _dpk dpk; fi
"""

_FISH = r"""# fish completion of dpk
function __dpk_complete
    set -l words (commandline -opc)
    set -l token (commandline -ct)
    set -l word (string unescape -- $token; or string trim -l -c "\"'" -- $token)
    test -n "$word"; or set word (string trim -l -c "\"'" -- $token)
    for line in (command $words[1] __complete fish $words[2..-1] "$word" 2>/dev/null </dev/null)
        set -l flag (string match -r -- '^--[a-z-]+=' $token)
        set -l path (string replace -r -- '^--[a-z-]+=' '' $token)
        switch $line
            case ':file*'
                __fish_complete_path $path | string replace -r -- '^' "$flag"
            case ':dir*'
                __fish_complete_directories $path '' | string replace -r -- '^' "$flag"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c dpk -f -a '(__dpk_complete)'
"""
_SCRIPTS = dict(zip(SHELLS, (_BASH, _ZSH, _FISH), strict=True))


@dataclass(frozen=True)
class Script:
    """The script of a shell."""

    shell: str
    script: str


def completion(shell: str) -> Script:
    """The script of `shell`, which is bash, zsh or fish. Raises Usage."""
    if shell not in _SCRIPTS:
        raise Usage(f"there is no completion for '{shell}'", f"shells: {', '.join(SHELLS)}")
    return Script(shell, _SCRIPTS[shell])


def render(result: Script) -> Iterator[Shown]:
    yield result.script.encode()
