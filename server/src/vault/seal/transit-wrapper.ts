import { readFile } from 'node:fs/promises'
import { AppError, type Clock, callService, type Log, reasonOf, Secret } from '../../core/index.ts'
import { isObject } from '../fields.ts'
import type { KeyWrapper } from './key-wrapper.ts'

export type TransitSettings = {
  /** Of the other vault. */
  readonly address: string
  readonly mount: string
  readonly keyName: string
  /** Read again for each call, so that another program may renew it; else the token itself. */
  readonly token: { readonly file: string } | Secret
  readonly namespace?: string | undefined
  readonly caFile?: string | undefined
  readonly renewal: boolean
}
type Needs = { clock: Pick<Clock, 'after'>; log: Pick<Log, 'warn'> }

const retryRenewalMilliseconds = 30_000
const longestWaitMilliseconds = 3_600_000

/** The key lies in the transit engine of another vault: Keyward's own, HashiCorp's or OpenBao. */
export function createTransitWrapper(settings: TransitSettings, { clock, log }: Needs): KeyWrapper {
  const { address, mount, keyName, namespace, caFile } = settings
  const where = `${mount}/${keyName} at ${new URL(address).host}`
  let renewalProblem: string | undefined

  async function token(): Promise<Secret> {
    if (settings.token instanceof Secret) return settings.token
    return new Secret((await readFile(settings.token.file, 'utf8')).trim())
  }

  async function call(path: string, body: unknown, method?: 'GET'): Promise<Record<string, unknown>> {
    const { status, text } = await callService({
      url: `${address.replace(/\/+$/, '')}/v1/${path}`,
      headers: {
        'content-type': 'application/json',
        'x-vault-token': (await token()).reveal(),
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
      },
      body: method === 'GET' ? '' : JSON.stringify(body),
      caPem: caFile === undefined ? undefined : await readFile(caFile, 'utf8'),
      ...(method === undefined ? {} : { method }),
    })
    const answer: unknown = text === '' ? {} : JSON.parse(text)
    if (!isObject(answer)) throw new Error('the answer is no JSON object')
    if (status >= 400) throw new Error(`it answered ${status}: ${errorsOf(answer)}`)
    return answer
  }

  /** A text that the answer has in `data`. */
  async function transit(operation: 'encrypt' | 'decrypt', body: unknown, field: string): Promise<string> {
    try {
      const { data } = await call(`${mount}/${operation}/${encodeURIComponent(keyName)}`, body)
      const text = isObject(data) ? data[field] : undefined
      if (typeof text !== 'string') throw new Error(`the answer has no ${field}`)
      return text
    } catch (error) {
      throw new AppError(
        'vault.seal_unavailable',
        `the transit key ${where} did not ${operation}: ${reasonOf(error)}`,
      )
    }
  }

  /** Milliseconds until the token wants to be renewed again; undefined when it never does. */
  async function renew(): Promise<number | undefined> {
    const { data } = await call('auth/token/lookup-self', undefined, 'GET')
    if (!isObject(data) || data['renewable'] !== true) return undefined
    const { auth } = await call('auth/token/renew-self', {})
    const seconds = isObject(auth) ? Number(auth['lease_duration']) : 0
    return Math.min(Math.max(seconds * 500, 1000), longestWaitMilliseconds)
  }

  return {
    kind: 'transit',
    async wrap(rootKey) {
      return Buffer.from(await transit('encrypt', { plaintext: rootKey.toString('base64') }, 'ciphertext'))
    },
    async unwrap(wrapped) {
      const ciphertext = Buffer.from(wrapped).toString('utf8')
      return Buffer.from(await transit('decrypt', { ciphertext }, 'plaintext'), 'base64')
    },
    problem: () => renewalProblem,
    keepAlive() {
      let cancel = (): void => undefined
      let stopped = false
      const next = (milliseconds: number): void => {
        if (!stopped) cancel = clock.after(milliseconds, () => void run())
      }
      const run = async (): Promise<void> => {
        try {
          const milliseconds = await renew()
          renewalProblem = undefined
          if (milliseconds !== undefined) next(milliseconds)
        } catch (error) {
          renewalProblem = `the token for the transit key ${where} cannot be renewed: ${reasonOf(error)}`
          log.warn({ reason: renewalProblem }, 'the token of the seal is not renewed; it is tried again')
          next(retryRenewalMilliseconds)
        }
      }
      if (settings.renewal) void run()
      return () => {
        stopped = true
        cancel()
      }
    },
  }
}

function errorsOf(answer: Record<string, unknown>): string {
  const { errors } = answer
  return Array.isArray(errors) ? errors.map(String).join('; ').slice(0, 300) : 'no reason given'
}
