export type Shell = 'bash' | 'zsh' | 'fish'

/** A command as completion sees it. */
export type Words = {
  readonly name: string
  readonly summary: string
  readonly options: readonly { readonly name: string; readonly summary: string }[]
  readonly commands: readonly Words[]
}

export function completionScript(shell: Shell, commands: readonly Words[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(commands)
    case 'zsh':
      return zshScript(commands)
    case 'fish':
      return fishScript(commands)
  }
}

const namesOf = (command: Words): string[] => [
  ...command.commands.map(({ name }) => name),
  ...command.options.map(({ name }) => name),
  '--help',
]

/** What can follow `keyward`, `keyward <command>` and `keyward <command> <command>`. */
function* cases(commands: readonly Words[]): Iterable<{ path: string; words: readonly string[] }> {
  for (const command of commands) {
    for (const child of command.commands)
      yield { path: `${command.name} ${child.name}`, words: namesOf(child) }
    yield { path: command.name, words: namesOf(command) }
  }
}

function bashScript(commands: readonly Words[]): string {
  const first = [...commands.map(({ name }) => name), 'help', '--help', '--version'].join(' ')
  const arms = [...cases(commands)]
    .map(
      ({ path, words }) =>
        `    '${path}'${path.includes(' ') ? '' : "|'${path} '*".replace('${path}', path)}) words='${words.join(' ')}' ;;`,
    )
    .join('\n')
  return `# Completion for keyward: source <(keyward completion bash)
_keyward() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '${first}' -- "$current"))
    return
  fi
  local path="\${COMP_WORDS[1]}"
  [[ $COMP_CWORD -gt 2 ]] && path+=" \${COMP_WORDS[2]}"
  case "$path" in
${arms}
    *) return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _keyward keyward
`
}

/** For single quotes in zsh and fish, and for the colon that ends a name in zsh's lists. */
const quoted = (text: string): string => text.replaceAll("'", "'\\''")
const described = (name: string, summary: string): string =>
  `'${quoted(`${name.replaceAll(':', '\\:')}:${summary}`)}'`

function zshScript(commands: readonly Words[]): string {
  const list = (command: Words): string =>
    [...command.commands, ...command.options].map(({ name, summary }) => described(name, summary)).join(' ')
  const arms = commands
    .flatMap((command) => [
      ...command.commands.map((child) => `    '${command.name} ${child.name}') words=(${list(child)}) ;;`),
      `    '${command.name}'|'${command.name} '*) words=(${list(command)}) ;;`,
    ])
    .join('\n')
  return `#compdef keyward
# Completion for keyward: keyward completion zsh > "\${fpath[1]}/_keyward"
_keyward() {
  local -a words_all=(\${words[@]}) words
  if (( CURRENT == 2 )); then
    words=(${commands.map(({ name, summary }) => described(name, summary)).join(' ')})
    _describe 'command' words
    return
  fi
  local path="\${words_all[2]}"
  (( CURRENT > 3 )) && path+=" \${words_all[3]}"
  case "$path" in
${arms}
  esac
  _describe 'argument' words
  _files
}
compdef _keyward keyward
`
}

function fishScript(commands: readonly Words[]): string {
  const lines = [
    '# Completion for keyward: keyward completion fish > ~/.config/fish/completions/keyward.fish',
  ]
  for (const command of commands) {
    lines.push(
      `complete -c keyward -n __fish_use_subcommand -f -a ${command.name} -d '${fishQuoted(command.summary)}'`,
    )
    lines.push(...fishLines(`__fish_seen_subcommand_from ${command.name}`, command))
    for (const child of command.commands) {
      lines.push(
        ...fishLines(
          `__fish_seen_subcommand_from ${command.name}; and __fish_seen_subcommand_from ${child.name}`,
          child,
        ),
      )
    }
  }
  return `${lines.join('\n')}\n`
}

const fishQuoted = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")

const fishLines = (condition: string, { commands, options }: Words): string[] => [
  ...commands.map(
    ({ name, summary }) => `complete -c keyward -n '${condition}' -f -a ${name} -d '${fishQuoted(summary)}'`,
  ),
  ...options.map(
    ({ name, summary }) =>
      `complete -c keyward -n '${condition}' -l ${name.slice(2)} -d '${fishQuoted(summary)}'`,
  ),
]
