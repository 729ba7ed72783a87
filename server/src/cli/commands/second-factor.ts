import { api, type FactorView } from '@keyward/contract'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { askHidden } from '../prompt.ts'
import { renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const secondFactorCommand = (needs: Needs): Command =>
  commandGroup('second-factor', 'What you show beside your sign-in, for approvals of high risk', [
    listCommand(needs),
    addTotpCommand(needs),
    finishTotpCommand(needs),
    confirmCommand(needs),
    recoveryCodesCommand(needs),
    removeCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list',
    summary: 'Your second factors, and how many recovery codes are left',
    examples: ['keyward second-factor list'],
  }).action(async (options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.secondFactors.list, {})
    if (options.json) return terminal.json(answer)
    const table = renderTable<FactorView>(
      [
        { title: 'id', value: ({ id }) => id },
        { title: 'kind', value: ({ kind }) => kind },
        { title: 'name', value: ({ name }) => name },
        { title: 'since', value: ({ createdAt }) => shortTime(createdAt) },
        { title: 'last used', value: ({ lastUsedAt }) => shortTime(lastUsedAt) },
      ],
      answer.items,
      terminal.columns,
    )
    if (answer.items.length > 0) terminal.write(table)
    terminal.note(`Recovery codes left: ${answer.recoveryCodesLeft}.`)
  })
}

function addTotpCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'add-totp',
    summary: 'Add an app that shows codes of six digits',
    details:
      'Prints the URL that the app reads, this once, and asks for a code at a terminal. Without one, give the code to\n' +
      '"keyward second-factor finish-totp". A security key is added in the console.',
    examples: ['keyward second-factor add-totp --name phone'],
  })
    .option('--name <name>', 'how you call it', 'app')
    .action(async (options: CommonOptions & { name: string }) => {
      const client = await connect(needs, options)
      const begun = await client.call(api.secondFactors.addTotp, { name: options.name })
      if (options.json) return terminal.json(begun)
      terminal.write(`${begun.url}\n`)
      if (terminal.interactive) return await finish(needs, client, options, begun.factorId)
      terminal.note(`Then: keyward second-factor finish-totp ${begun.factorId}`)
    })
}

function finishTotpCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'finish-totp <factorId>',
    summary: 'Show that the app has the secret; the code is asked for, or read from standard input',
    examples: ['keyward second-factor finish-totp fct_01'],
  }).action(async (factorId: string, options: CommonOptions) =>
    finish(needs, await connect(needs, options), options, factorId),
  )
}

async function finish(
  { terminal }: Needs,
  client: Client,
  options: CommonOptions,
  factorId: string,
): Promise<void> {
  const code = (await askHidden(terminal, questions.code)).reveal()
  const added = await client.call(api.secondFactors.finishTotp, { factorId, code })
  if (options.json) {
    terminal.json(added)
    return
  }
  terminal.note(`Added ${added.factor.name} (${added.factor.id}).`)
  if (added.recoveryCodes) showCodes(terminal, added.recoveryCodes)
}

function showCodes(terminal: Needs['terminal'], codes: readonly string[]): void {
  terminal.note('Recovery codes, this once. Each lets you change your factors once, and approves nothing:')
  terminal.write(`${codes.join('\n')}\n`)
}

const questions = { recoveryCode: 'Recovery code: ', code: 'Code that the app shows: ' } as const

/** Shows what is typed unseen as a second factor, or as what lets one change them. */
export async function confirmTyped(
  terminal: Needs['terminal'],
  client: Client,
  kind: keyof typeof questions,
): Promise<{ freshUntil: string }> {
  const typed = await askHidden(terminal, questions[kind])
  return client.call(api.secondFactors.confirm, { [kind]: typed.reveal() })
}

function confirmCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'confirm',
    summary: 'Show your second factor: for five minutes you may approve what needs one',
    details: 'The code is asked for, or read from standard input; it is never an argument.',
    examples: ['keyward second-factor confirm', 'keyward second-factor confirm --recovery'],
  })
    .option('--recovery', 'with a recovery code, to change your factors')
    .action(async (options: CommonOptions & { recovery?: boolean }) => {
      const client = await connect(needs, options)
      const answer = await confirmTyped(terminal, client, options.recovery ? 'recoveryCode' : 'code')
      if (options.json) return terminal.json(answer)
      terminal.note(`Confirmed until ${answer.freshUntil}.`)
    })
}

function recoveryCodesCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'recovery-codes',
    summary: 'New recovery codes, this once; the ones before count no more',
    examples: ['keyward second-factor recovery-codes'],
  }).action(async (options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.secondFactors.recoveryCodes, {})
    if (options.json) return terminal.json(answer)
    showCodes(terminal, answer.recoveryCodes)
  })
}

function removeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'remove <factorId>',
    summary: 'Give up a factor; show one, or a recovery code, first',
    examples: ['keyward second-factor remove fct_01'],
  }).action(async (factorId: string, options: CommonOptions) => {
    const gone = await (await connect(needs, options)).call(api.secondFactors.remove, { factorId })
    if (options.json) return terminal.json(gone)
    terminal.note(`${gone.name} counts no more.`)
  })
}
