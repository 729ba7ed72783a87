import { api } from '@keyward/contract'
import type { Command } from 'commander'
import { Secret } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const secretsCommand = (needs: Needs): Command =>
  commandGroup('secrets', 'What the vault holds', [
    listCommand(needs),
    showCommand(needs),
    revealCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list [path]',
    summary: 'Names below a path of the vault; never values',
    examples: ['keyward secrets list', 'keyward secrets list secret/shop'],
  }).action(async (path: string | undefined, options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.secrets.list, { path: path ?? 'secret' })
    if (options.json) return terminal.json(answer)
    if (answer.items.length === 0) return terminal.note('None.')
    terminal.write(answer.items.map((item) => `${printable(item.path)}\n`).join(''))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <path>',
    summary: 'One secret: its fields and version; never values',
    examples: ['keyward secrets show secret/shop/stripe'],
  }).action(async (path: string, options: CommonOptions) => {
    const secret = await (await connect(needs, options)).call(api.secrets.read, { path })
    if (options.json) return terminal.json(secret)
    terminal.write(
      renderFacts([
        ['Path', secret.path],
        ['Version', secret.version ?? 'none: its mount keeps no versions'],
        ...(secret.createdAt === null ? [] : [['Created', secret.createdAt] as const]),
        ['Fields', secret.fields.join(', ')],
        ...secret.references.map((reference) => ['Reference', reference] as const),
      ]),
    )
  })
}

type RevealOptions = CommonOptions & { readonly field: string; readonly newline: boolean }

function revealCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'reveal <path>',
    summary: 'Show one value; audited before it is shown',
    details: 'For a program, prefer "keyward run": the value then stands on no screen and in no file.',
    examples: [
      'keyward secrets reveal secret/shop/stripe',
      'keyward secrets reveal secret/shop/db --field password',
    ],
  })
    .option('--field <name>', 'field of the secret', 'value')
    .option('--no-newline', 'write the value and nothing after it')
    .action(async (path: string, { field, newline, ...options }: RevealOptions) => {
      const answer = await (await connect(needs, options)).call(api.secrets.reveal, { path, field })
      const value = new Secret(answer.value)
      if (options.json) return terminal.json({ path, field, value: value.reveal() })
      // A pipe gets the value as it is; a terminal must not be driven by it.
      const shown = terminal.columns === undefined ? value.reveal() : printable(value.reveal())
      terminal.write(newline ? `${shown}\n` : shown)
    })
}
