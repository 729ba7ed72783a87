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

const pattern = (path: string): string => (path.includes(' ') ? `'${path}'` : `'${path}'|'${path} '*`)

function bashScript(commands: readonly Words[]): string {
  const first = [...commands.map(({ name }) => name), 'help', '--help', '--version'].join(' ')
  const arms = [...cases(commands)]
    .map(({ path, words }) => `    ${pattern(path)}) words='${words.join(' ')}' ;;`)
    .join('\n')
  return `# Completion for keyward: source <(keyward completion bash)
_keyward() {
  local current="$2" words path="$3"
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '${first}' -- "$current"))
    return
  fi
  set -- "\${COMP_WORDS[@]}"
  path="$2"
  [[ $COMP_CWORD -gt 2 ]] && path+=" $3"
  case "$path" in
${arms}
    *) return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _keyward keyward
`
}

/** For single quotes, and for the colon that ends a name in zsh's lists. */
const described = (name: string, summary: string): string =>
  `'${`${name.replaceAll(':', '\\:')}:${summary}`.replaceAll("'", "'\\''")}'`

function zshScript(commands: readonly Words[]): string {
  const list = (command: Words): string =>
    [...command.commands, ...command.options].map(({ name, summary }) => described(name, summary)).join(' ')
  const arms = commands
    .flatMap((command) => [
      ...command.commands.map((child) => `    '${command.name} ${child.name}') answers=(${list(child)}) ;;`),
      `    ${pattern(command.name)}) answers=(${list(command)}) ;;`,
    ])
    .join('\n')
  return `#compdef keyward
# Completion for keyward: keyward completion zsh > ~/.zfunc/_keyward
_keyward() {
  local -a answers
  local typed="$words[2]"
  if (( CURRENT == 2 )); then
    answers=(${commands.map(({ name, summary }) => described(name, summary)).join(' ')})
    _describe 'command' answers
    return
  fi
  (( CURRENT > 3 )) && typed+=" $words[3]"
  case "$typed" in
${arms}
  esac
  _describe 'argument' answers
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
