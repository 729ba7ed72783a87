import { Argument, type Command } from 'commander'
import { localCommand } from '../command.ts'
import { completionScript, type Shell, type Words } from '../completion-script.ts'
import type { CommandNeeds } from '../needs.ts'

const shells: readonly Shell[] = ['bash', 'zsh', 'fish']

export function completionCommand(
  { terminal }: Pick<CommandNeeds, 'terminal'>,
  everyCommand: () => Promise<readonly Command[]>,
): Command {
  return localCommand({
    usage: 'completion',
    summary: 'Completion for bash, zsh or fish',
    examples: [
      'source <(keyward completion bash)',
      'keyward completion zsh > ~/.zfunc/_keyward',
      'keyward completion fish > ~/.config/fish/completions/keyward.fish',
    ],
  })
    .addArgument(new Argument('<shell>', 'whose completion').choices(shells))
    .action(async (shell: Shell, { json }: { json?: boolean }) => {
      const words = (await everyCommand()).map(wordsOf)
      if (json) terminal.json(words)
      else terminal.write(completionScript(shell, words))
    })
}

const wordsOf = (command: Command): Words => ({
  name: command.name(),
  summary: command.summary(),
  options: command.options.flatMap(({ long, description }) =>
    long ? [{ name: long, summary: description }] : [],
  ),
  commands: command.commands.map(wordsOf),
})
