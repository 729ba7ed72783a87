import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { api, type FlowView } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, commandGroup, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

export const flowsCommand = (needs: Needs): Command =>
  commandGroup('flows', 'Flows: list, show, check, save, remove', [
    listCommand(needs),
    showCommand(needs),
    validateCommand(needs),
    saveCommand(needs),
    removeCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<FlowView>[] = [
    { title: 'name', value: ({ name }) => name },
    { title: 'title', value: ({ title }) => title, shrink: true },
    { title: 'from', value: ({ version }) => (version === null ? 'Keyward' : `version ${version}`) },
    { title: 'goal', value: ({ goals }) => goals[0] ?? null, shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Every flow that a run can be started from',
    examples: ['keyward flows list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.flows.list, {})
    if (options.json) terminal.json(items)
    else terminal.write(renderTable(columns, items, terminal.columns))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <flow>',
    summary: 'One flow: how goals may be worded, what its input is, and its text if it was saved',
    examples: ['keyward flows show leaked-key', 'keyward flows show deploy-shop > deploy-shop.yaml'],
  }).action(async (flow: string, options: CommonOptions) => {
    const found = await (await connect(needs, options)).call(api.flows.read, { flow })
    if (options.json) terminal.json(found)
    else if (found.text !== null) terminal.write(found.text)
    else
      terminal.write(
        renderFacts([
          ['Flow', found.name],
          ['Title', found.title],
          ...found.goals.map((goal) => ['Goal', goal] as const),
          ['Input', JSON.stringify(found.input)],
        ]),
      )
  })
}

const read = (needs: Needs, file: string): Promise<string> =>
  file === '-' ? readText(needs.terminal.input) : readFile(file, 'utf8')

function validateCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'validate <file>',
    summary: 'Check a flow in YAML or JSON; every fault with its line and column',
    details: 'Exit code 0 when it is valid, 1 when not. - is standard input.',
    examples: ['keyward flows validate deploy-shop.yaml'],
  }).action(async (file: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { valid, problems } = await client.call(api.flows.validate, { text: await read(needs, file) })
    if (options.json) terminal.json({ valid, problems })
    else
      for (const { line, column, message } of problems)
        terminal.write(`${file}:${line}:${column}: ${message}\n`)
    if (!valid) needs.answer(exitNegative)
    else if (!options.json) terminal.note(`${file} is valid.`)
  })
}

function saveCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'save <flow> <file>',
    summary: 'Save a flow under a name; runs that the version before started keep it',
    examples: [
      'keyward flows save deploy-shop deploy-shop.yaml',
      'keyward flows save deploy-shop - --after 2',
    ],
  })
    .option('--after <version>', 'refuse when somebody saved another one since', wholeNumber(0, 1_000_000))
    .action(async (flow: string, file: string, { after, ...options }: CommonOptions & { after?: number }) => {
      const client = await connect(needs, options)
      const saved = await client.call(api.flows.save, { flow, text: await read(needs, file), after })
      if (options.json) terminal.json(saved)
      else terminal.note(`${saved.name} has version ${saved.version}.`)
    })
}

function removeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'remove <flow>',
    summary: 'Remove a saved flow; its runs stay',
    examples: ['keyward flows remove deploy-shop'],
  }).action(async (flow: string, options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.flows.remove, { flow })
    if (options.json) terminal.json(answer)
    else terminal.note(`${flow} is removed.`)
  })
}
