import { api, type FindingExplanation, type FolderCount, type TrendDay } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export function explainCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'explain <findingId>',
    summary: 'Why it is a finding, the lines around it masked, what happened to it, how its key is changed',
    examples: ['keyward findings explain fnd_01'],
  }).action(async (findingId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const finding = await client.call(api.findings.read, { findingId })
    const explained = await client.call(api.findings.explain, { findingId })
    if (options.json) return terminal.json({ finding, ...explained })
    const { title, masked, confidence, reasons, entropy } = finding
    terminal.write(
      renderFacts([
        ['What', `${title} ${masked}`],
        ['Confidence', confidence],
        ...reasons.map((reason) => ['Because', reason] as const),
        ['Entropy', entropy === null ? null : `${entropy} bits a character`],
        ...explained.moves.map(({ at, to, actor, reason }) => {
          return [shortTime(at) ?? '', `${to}, by ${actor}${reason ? `: ${reason}` : ''}`] as const
        }),
        ...explained.rotation.steps.map((step, i) => [i === 0 ? 'To change it' : '', step] as const),
        ['Revoke at', explained.rotation.address],
      ]),
    )
    for (const context of explained.contexts) terminal.write(contextText(context))
  })
}

function contextText({ file, lines, problem }: FindingExplanation['contexts'][number]): string {
  const shown = lines.map(
    ({ line, text, holds }) => `${holds ? '>' : ' '} ${String(line).padStart(5)}  ${text}`,
  )
  return ['', file, ...(problem === null ? shown : [`  ${problem}`])]
    .map((line) => `${printable(line)}\n`)
    .join('')
}

export function trendCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<TrendDay>[] = [
    { title: 'day', value: ({ day }) => day },
    { title: 'open', value: ({ open }) => open, align: 'right' },
    { title: 'opened', value: ({ opened }) => opened, align: 'right' },
    { title: 'fixed', value: ({ fixed }) => fixed, align: 'right' },
    { title: 'imported', value: ({ imported }) => imported, align: 'right' },
    { title: 'ignored', value: ({ ignored }) => ignored, align: 'right' },
  ]
  return serverCommand({
    usage: 'trend',
    summary: 'How many findings were open on each day (UTC), and what changed',
    examples: ['keyward findings trend', 'keyward findings trend --project shop --days 90'],
  })
    .option('--days <n>', 'how far back', wholeNumber(7, 366), 30)
    .option('--project <name>', 'of this project only')
    .action(async ({ days, project, ...options }: CommonOptions & { days: number; project?: string }) => {
      const trend = await (await connect(needs, options)).call(api.findings.trend, { days, project })
      if (options.json) return terminal.json(trend)
      terminal.write(renderTable(columns, trend.days, terminal.columns))
    })
}

export function foldersCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<FolderCount>[] = [
    { title: 'findings', value: ({ findings }) => findings, align: 'right' },
    { title: 'high', value: ({ high }) => high, align: 'right' },
    { title: 'medium', value: ({ medium }) => medium, align: 'right' },
    { title: 'low', value: ({ low }) => low, align: 'right' },
    { title: 'where', value: ({ path, kind }) => (kind === 'folder' ? `${path}/` : path), shrink: true },
  ]
  return serverCommand({
    usage: 'folders [folder]',
    summary: 'Where open findings stand: what lies directly in a folder, most first',
    examples: ['keyward findings folders', 'keyward findings folders services/api --project shop'],
  })
    .option('--project <name>', 'of this project only')
    .action(
      async (folder: string | undefined, { project, ...options }: CommonOptions & { project?: string }) => {
        const client = await connect(needs, options)
        const found = await client.call(api.findings.folders, { folder: folder ?? '', project })
        if (options.json) return terminal.json(found)
        if (found.items.length === 0) return terminal.note('None.')
        terminal.write(renderTable(columns, found.items, terminal.columns))
      },
    )
}
