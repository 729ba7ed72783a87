import { api } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type IgnoreOptions = CommonOptions & { readonly reason: string; readonly until?: string }

export function ignoreCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'ignore <findingIds...>',
    summary: 'Ignore findings, with a reason; all of them or none',
    examples: [
      'keyward findings ignore fnd_01 --reason "A key of the public test account"',
      'keyward findings ignore fnd_01 fnd_02 --reason "Rotated in March" --until 2027-03-31',
    ],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .option('--until <day>', 'open them again after this day (UTC), as 2027-03-31')
    .action(async (findingIds: string[], { reason, until, ...options }: IgnoreOptions) => {
      const client = await connect(needs, options)
      const last = until === undefined ? null : endOfDay(until)
      const done = await client.call(api.findings.ignore, { findingIds, reason, until: last })
      if (options.json) return terminal.json(done)
      const how = until === undefined ? '' : ` until the end of ${until}`
      terminal.note(`${countOf(done.findings)} ignored${how}. Take it back: keyward findings reopen`)
    })
}

export function reopenCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'reopen <findingIds...>',
    summary: 'Open ignored findings again; all of them or none',
    examples: ['keyward findings reopen fnd_01 fnd_02'],
  }).action(async (findingIds: string[], options: CommonOptions) => {
    const client = await connect(needs, options)
    const done = await client.call(api.findings.reopen, { findingIds })
    if (options.json) return terminal.json(done)
    terminal.note(`${countOf(done.findings)} open again.`)
  })
}

const countOf = ({ length }: readonly string[]): string =>
  length === 1 ? '1 finding is' : `${length} findings are`

/** The day itself still counts. */
function endOfDay(day: string): string {
  const end = new Date(`${day}T23:59:59.999Z`)
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(end.getTime()) || !end.toISOString().startsWith(day))
    throw new AppError('request.invalid', `--until ${day} is no day: write it as 2027-03-31`)
  return end.toISOString()
}
