import { api, type ExplanationView } from '@keyward/contract'
import { type Command, InvalidArgumentError } from 'commander'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable, printableLines } from '../printable.ts'
import { renderFacts } from '../table.ts'
import { importCommand } from './vault-import.ts'
import { sealCommands } from './vault-seal.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer' | 'cwd'>

export const vaultCommand = (needs: Needs): Command =>
  commandGroup('vault', 'The vault: its seal, what its API allows and why, moving into it', [
    ...sealCommands(needs),
    explainCommand(needs),
    importCommand(needs),
  ])

const methods = ['GET', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
type Method = (typeof methods)[number]
/** As the command lines of other vaults call them. */
const verbs: Readonly<Record<string, Method>> = {
  READ: 'GET',
  WRITE: 'POST',
  CREATE: 'POST',
  UPDATE: 'POST',
}

type ExplainOptions = CommonOptions & {
  readonly accessor?: string
  readonly parameter?: Readonly<Record<string, string>>
  readonly wrapTtl?: string
  readonly from?: string
}

function explainCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'explain <method> <path>',
    summary: 'Why a request passes or is refused, and what a policy would have to say',
    details:
      'Nothing of the request is carried out. It is asked for the token that signs you in (KEYWARD_TOKEN, VAULT_TOKEN); another ' +
      "token is named by its accessor. A parameter's value is needed only where a policy looks at values; never give a secret.",
    examples: [
      'keyward vault explain GET secret/data/shop/stripe',
      'keyward vault explain LIST secret/metadata/shop --accessor 8609694a',
      'keyward vault explain POST transit/keys/shop --parameter type=ed25519',
    ],
  })
    .option('--accessor <accessor>', 'of the token that asks, when it is not your own')
    .option('--parameter <name[=value]>', 'what would be sent; can be repeated', addParameter)
    .option('--wrap-ttl <duration>', 'the answer would be wrapped for so long')
    .option('--from <address>', 'where the request would come from')
    .action(async (method: string, path: string, options: ExplainOptions) => {
      const client = await connect(needs, options)
      const explanation = await client.call(api.vault.explain, {
        method: methodFrom(method),
        path,
        accessor: options.accessor,
        parameters: options.parameter,
        wrapTtl: options.wrapTtl,
        remoteAddress: options.from,
      })
      if (options.json) terminal.json(explanation)
      else terminal.write(explained(needs, explanation, method.toUpperCase()))
      if (!explanation.allowed) needs.answer(exitNegative)
    })
}

function methodFrom(text: string): Method {
  const upper = text.toUpperCase()
  const method = verbs[upper] ?? methods.find((known) => known === upper)
  if (!method) throw new InvalidArgumentError(`Write one of ${methods.join(', ')}.`)
  return method
}

function addParameter(text: string, earlier: Record<string, string> = {}): Record<string, string> {
  const [name = '', ...value] = text.split('=')
  if (name === '') throw new InvalidArgumentError('Write name or name=value.')
  return { ...earlier, [name]: value.join('=') }
}

function explained({ terminal }: Needs, explanation: ExplanationView, method: string): string {
  const { allowed, path, reasons, policies, deciding, remedy, mount, token } = explanation
  const verdict = allowed ? terminal.tint('green', 'Allowed') : terminal.tint('red', 'Refused')
  const [first, ...others] = reasons.map(({ text }) => printable(text))
  const looked = policies.map(({ name, exists, rules }) =>
    exists ? `${name} (${rules} ${rules === 1 ? 'rule' : 'rules'})` : `${name} (does not exist)`,
  )
  const facts = renderFacts([
    ['Token', token ? `${token.displayName}, accessor ${token.accessor}` : '-'],
    ['Policies', looked.join(', ') || 'none'],
    ...deciding.map(
      (rule) =>
        [
          'Decided by',
          `policy ${rule.policy}, line ${rule.line}: ${rule.path} [${rule.capabilities.join(', ')}]`,
        ] as const,
    ),
    ['Mount', mount ? `${mount.path} (${mount.type})` : 'none that the token can see'],
  ])
  const helps = others.map((text) => `- ${text}\n`).join('')
  const stanza =
    remedy === null || allowed ? '' : `\nThis would allow it, and no more:\n\n${printableLines(remedy)}`
  return `${verdict}: ${method} ${printable(path)}\n${first ?? ''}\n${helps}\n${facts}${stanza}`
}
