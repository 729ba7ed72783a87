// Writes docs/connectors.md from the connectors: node server/src/connectors/document.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ConnectorView } from '@keyward/contract'
import { createRegistry } from './registry.ts'
import { shippedConnectors } from './shipped.ts'

export const documentPath = fileURLToPath(new URL('../../../docs/connectors.md', import.meta.url))

/** What the connectors say of themselves, as a page. */
export function connectorsDocument(): string {
  const kinds = createRegistry(shippedConnectors).views()
  return `${[head, ...kinds.map(sectionOf)].join('\n\n')}\n`
}

const head = `# Connectors

What runs can do with connected services. Generated from [server/src/connectors](../server/src/connectors) by
\`node server/src/connectors/document.ts\`; \`keyward connectors show NAME\` shows the same of a running server.

*Can be undone* says what an approver needs to know. *Again* says what happens when the answer of an attempt was lost: *does no harm*
is simply tried again, *finds out* asks the service first. A *dry run* shows an approver what would happen.`

const sectionOf = ({ name, title, docs, settings, secretFields, actions }: ConnectorView): string =>
  [
    `## ${title}`,
    [
      `\`${name}\`, [documentation of the service](${docs}).`,
      `Settings: ${wordsOf(settingsOf(settings))}.`,
      `Fields of its secret: ${wordsOf(secretFields.map((field) => mark(field.name, field.optional)))}.`,
    ].join('\n'),
    [
      '| action | what | risk | can be undone | again | dry run | permissions |',
      '|---|---|---|---|---|---|---|',
      ...actions.map(rowOf),
    ].join('\n'),
  ].join('\n\n')

function rowOf(action: ConnectorView['actions'][number]): string {
  const cells = [
    `\`${action.name}\``,
    action.title,
    action.risk,
    action.effect === 'read' ? 'changes nothing' : action.reversible ? 'yes' : 'no',
    action.idempotent ? 'does no harm' : action.reconciles ? 'finds out' : 'asks a person',
    action.previews ? 'yes' : '',
    action.permissions.map((permission) => `\`${permission}\``).join(', '),
  ]
  return `| ${cells.join(' | ')} |`
}

const mark = (name: string, optional: boolean): string => `\`${name}\`${optional ? ' (if wanted)' : ''}`
const wordsOf = (names: readonly string[]): string => names.join(', ') || 'none'

function settingsOf(schema: ConnectorView['settings']): string[] {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return []
  const { properties = {}, required = [] } = schema
  const needed = new Set(Array.isArray(required) ? required : [])
  return Object.keys(Object(properties)).map((name) => mark(name, !needed.has(name)))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(documentPath, connectorsDocument())
