import type { ConnectorView, Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Connector, ConnectorAction } from './connector.ts'

export type Registry = {
  all(): readonly Connector[]
  /** Throws `connector.not_found`. */
  get(name: string): Connector
  views(): ConnectorView[]
}

/** The connectors that this server knows. Throws when two share a name or an action is not its connector's own: a fault of ours. */
export function createRegistry(connectors: readonly Connector[]): Registry {
  const byName = new Map(connectors.map((connector) => [connector.name, connector]))
  if (byName.size < connectors.length) throw new Error('two connectors have the same name')
  for (const { name, actions } of connectors) {
    const stranger = actions.find((action) => !action.name.startsWith(`${name}.`))
    if (stranger) throw new Error(`${stranger.name} is not an action of ${name}`)
  }
  return {
    all: () => connectors,
    get(name) {
      const connector = byName.get(name)
      if (!connector)
        throw new AppError(
          'connector.not_found',
          `there is no connector '${name}'. Known: ${[...byName.keys()].sort().join(', ')}`,
        )
      return connector
    },
    views: () => connectors.map(viewOf),
  }
}

const viewOf = ({ name, title, docs, settings, secretFields, actions }: Connector): ConnectorView => ({
  name,
  title,
  docs,
  settings: schemaOf(settings, 'input'),
  secretFields: secretFields.map((field) => ({
    name: field.name,
    title: field.title,
    optional: field.optional === true,
  })),
  actions: actions.map(actionView),
})

const actionView = (action: ConnectorAction): ConnectorView['actions'][number] => ({
  name: action.name,
  title: action.title,
  risk: action.risk,
  reversible: action.reversible,
  idempotent: action.idempotent,
  effect: action.effect ?? 'write',
  previews: action.preview !== undefined,
  reconciles: action.reconcile !== undefined,
  permissions: [...action.permissions],
  secretFields: [...action.secretFields],
  input: schemaOf(action.input, 'input'),
  output: schemaOf(action.output, 'output'),
})

/** JSON Schema is JSON; its type in zod says less. */
const schemaOf = (type: z.ZodType, io: 'input' | 'output'): Json =>
  JSON.parse(JSON.stringify(z.toJSONSchema(type, { io, unrepresentable: 'any' }))) as Json

/** What does not fit a schema, place by place, in one line; never the value itself. */
export const misfits = (error: z.ZodError): string =>
  error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`)
    .join('; ')
