import type { Json } from '@keyward/contract'
import { AppError, type Secret } from '../core/index.ts'
import type { SecretField } from './connector.ts'
import type { ConnectionRow } from './connectors-store.ts'
import type { ConnectorsNeeds } from './needs.ts'

/** The fields of a connection's secret, for one piece of work; `close` ends it. */
export type LentSecrets = {
  /** Refused once the work is over, and for a field that it did not declare. */
  secret(field: string): Promise<Secret>
  /** Keeps a value that was had with the secret out of texts, too. */
  hide(value: Secret): void
  /** The same value with all that was lent taken out, wherever it stands in a text. */
  withoutSecrets<T extends Json>(value: T): T
  /** An error in whose words nothing that was lent stands. */
  cleared(error: unknown): unknown
  close(): void
}

type For = {
  readonly connection: Pick<ConnectionRow, 'id' | 'name' | 'secret_path'>
  /** Fields that may be asked for. */
  readonly fields: readonly SecretField[]
  /** The run; empty for a check of health. */
  readonly correlation: string
  /** Why, for the audit log. */
  readonly purpose: { readonly [key: string]: Json }
  readonly signal?: AbortSignal | undefined
}

const mark = '[secret]'
/** Shorter ones occur by chance everywhere. */
const shortestSought = 6

export function lendSecrets(
  { audit, vault }: Pick<ConnectorsNeeds, 'audit' | 'vault'>,
  what: For,
): LentSecrets {
  const { connection, fields, correlation, purpose, signal } = what
  const lent = new Set<string>()
  let over = false

  async function fieldOf(path: string, field: string): Promise<Secret> {
    const { data = {} } = (await vault.kv.read(path)) ?? {}
    const value = Object.hasOwn(data, field) ? data[field] : undefined
    if (!value)
      throw unauthorized(`${path} has no field '${field}'; the connection ${connection.name} needs it`)
    return value
  }

  function assertGoesOn(): void {
    if (over || signal?.aborted)
      throw new AppError('connector.refused', 'the work that the secret is for has ended')
  }

  function hide(value: Secret): void {
    if (value.length >= shortestSought) lent.add(value.reveal())
  }

  function sought(): string[] {
    const forms = [...lent].flatMap((value) => [
      value,
      JSON.stringify(value).slice(1, -1),
      Buffer.from(value).toString('base64'),
      Buffer.from(value).toString('base64url'),
      encodeURIComponent(value),
    ])
    return [...new Set(forms)].sort((a, b) => b.length - a.length)
  }
  const clean = (text: string): string => sought().reduce((rest, value) => rest.replaceAll(value, mark), text)

  return {
    async secret(field) {
      assertGoesOn()
      if (!fields.some(({ name }) => name === field))
        throw new AppError('connector.refused', `the field '${field}' is not among those that this may use`)
      const path = connection.secret_path
      if (path === null) throw unauthorized(`the connection ${connection.name} has no secret`)
      const value = await fieldOf(path, field)
      await audit.recordNow({
        type: 'connection.used',
        outcome: 'intent',
        actor: 'system:connectors',
        target: `connection:${connection.id}`,
        correlation,
        detail: { ...purpose, connection: connection.name, secretPath: path, field },
      })
      assertGoesOn()
      hide(value)
      return value
    },
    hide,
    withoutSecrets: (value) => (lent.size === 0 ? value : mapTexts(value, clean)),
    cleared(error) {
      if (!(error instanceof AppError) || error.detail === undefined || lent.size === 0) return error
      const { code, detail, retryAfterSeconds } = error
      return new AppError(code, clean(detail), { retryAfterSeconds })
    },
    close() {
      over = true
    },
  }
}

const unauthorized = (why: string): AppError => new AppError('connector.unauthorized', why)

function mapTexts<T extends Json>(value: T, change: (text: string) => string): T
function mapTexts(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [change(name), mapTexts(item, change)]),
  )
}
