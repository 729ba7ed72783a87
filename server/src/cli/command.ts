import { Command, InvalidArgumentError } from 'commander'

export type LeafSpec = {
  /** Name and arguments as commander writes them: `show <approvalId>`. */
  readonly usage: string
  readonly summary: string
  /** One paragraph; it is wrapped to the terminal. */
  readonly details?: string
  /** Whole command lines, each of which works as it stands. */
  readonly examples: readonly string[]
}

/** A command that does something here, on this machine. */
export function localCommand({ usage, summary, details, examples }: LeafSpec): Command {
  const command = new Command()
  const [name = '', ...places] = usage.split(' ')
  command
    .name(name)
    .summary(summary)
    .description(details ? `${summary}.\n\n${details.replaceAll('\n', ' ')}` : `${summary}.`)
  for (const place of places) command.argument(place)
  return command
    .option('--json', 'write the result as JSON; errors too, on standard error')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`)
}

/** A command that asks the server. */
export function serverCommand(spec: LeafSpec): Command {
  return localCommand(spec).option(
    '--address <url>',
    'address of the server (default: $KEYWARD_ADDRESS or http://127.0.0.1:8200)',
  )
}

/** Common to all commands that ask the server. */
export type CommonOptions = { readonly json?: boolean; readonly address?: string }

export function commandGroup(name: string, summary: string, commands: readonly Command[]): Command {
  const group = new Command(name).summary(summary).description(`${summary}.`)
  for (const command of commands) group.addCommand(command)
  return group
}

/** For options: a whole number within bounds, else a usage error that says so. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    }
    return value
  }
