import { randomBytes } from 'node:crypto'
import {
  type Algorithm,
  algorithms,
  type CodeKey,
  codeAt,
  fromBase32,
  qrImage,
  stepOf,
  stepOfCode,
  toBase32,
} from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import { formatDuration } from '../../duration.ts'
import type { Answer, Body, Call, Engine, PathSpec, WriteHandler } from '../../engine.ts'
import { count, flag, invalid, type RecordOf, recordFrom, seconds, words } from '../record-fields.ts'

const keyFields = {
  generate: flag(),
  exported: flag(true),
  key_size: count(20),
  url: words(),
  key: words(),
  issuer: words(),
  account_name: words(),
  period: seconds(30),
  algorithm: words('SHA1'),
  digits: count(6),
  skew: count(1),
  qr_size: count(200),
}
type Asked = RecordOf<typeof keyFields>

type KeyRecord = {
  /** Base 32. */
  readonly secret: string
  readonly issuer: string
  readonly accountName: string
  readonly algorithm: Algorithm
  readonly digits: number
  readonly periodSeconds: number
  readonly skew: number
}
/** The steps of time whose code was used, as long as they could be used again. */
type UsedSteps = { readonly steps: readonly number[] }

/** One-time codes: the vault shows them like an app on a phone, or checks them like the service that asks for them. */
export function createTotp(barrier: Barrier, mountId: string): Engine {
  const root = `totp/${mountId}/`
  const keys = `${root}keys/`
  const used = `${root}used/`
  const get = (name: string): Promise<KeyRecord | undefined> => barrier.view(keys + name, parse<KeyRecord>)
  const nameOf = ({ params }: Pick<Call, 'params'>): string => params['name'] ?? ''

  async function require(name: string): Promise<KeyRecord> {
    const key = await get(name)
    if (!key) throw invalid(`unknown key: ${name}`)
    return key
  }

  async function create(call: Call): Promise<WriteHandler> {
    const name = nameOf(call)
    if (!/^\w(?:[\w.@-]*\w)?$/.test(name)) throw invalid(`"${name}" cannot be the name of a key`)
    const asked = recordFrom(keyFields, call.body)
    const record = keyFrom(asked, call.body)
    const data = asked.generate && asked.exported ? await shown(record, asked.qr_size) : undefined
    return async (tx) => {
      await barrier.put(tx, keys + name, JSON.stringify(record))
      await barrier.delete(tx, used + name)
      return { ...(data ? { data } : {}), note: { key: name, generated: asked.generate } }
    }
  }

  /** The step of a good code is remembered in the transaction that says so: it is good once. */
  async function verify(tx: Tx, call: Call): Promise<Answer> {
    const name = nameOf(call)
    const record = await require(name)
    const code = String(call.body['code'] ?? '')
    if (code === '') throw invalid('the code value is required')
    if (code.length !== record.digits || !/^\d+$/.test(code))
      throw invalid('invalid number of digits for the code')
    const step = stepOfCode(codeKeyOf(record), code, call.now, record.skew)
    if (step === undefined) return { data: { valid: false }, note: { key: name, valid: false } }
    const bytes = await barrier.get(used + name, tx)
    const { steps } = bytes ? parse<UsedSteps>(bytes) : { steps: [] }
    if (steps.includes(step)) throw invalid('code already used; wait until the next time period')
    const oldest = stepOf(record, call.now) - record.skew
    const kept: UsedSteps = { steps: [...steps.filter((known) => known >= oldest), step] }
    await barrier.put(tx, used + name, JSON.stringify(kept))
    return { data: { valid: true }, note: { key: name, valid: true } }
  }

  const paths: PathSpec[] = [
    {
      pattern: 'keys',
      async list() {
        const names = await barrier.list(keys)
        return names.length === 0 ? undefined : { data: { keys: names }, note: { count: names.length } }
      },
    },
    {
      pattern: 'keys/{name}',
      events: { update: 'key.created', delete: 'key.deleted' },
      async read(call) {
        const key = await get(nameOf(call))
        return key && { data: viewOf(key) }
      },
      post: create,
      async delete(tx, call) {
        await barrier.delete(tx, keys + nameOf(call))
        await barrier.delete(tx, used + nameOf(call))
        return {}
      },
    },
    {
      pattern: 'code/{name}',
      async read(call) {
        const record = await require(nameOf(call))
        return { data: codeNow(record, call.now), note: { key: nameOf(call) } }
      },
      update: verify,
    },
  ]
  return { type: 'totp', paths, wipe: (tx) => barrier.deleteFolder(tx, root) }
}

const parse = <T>(bytes: Buffer): T => JSON.parse(bytes.toString('utf8')) as T

function codeKeyOf({ secret, ...record }: KeyRecord): CodeKey {
  return { ...record, secret: fromBase32(secret) ?? Buffer.alloc(0) }
}

function codeNow(record: KeyRecord, now: Date): Record<string, unknown> {
  const key = codeKeyOf(record)
  const step = stepOf(key, now)
  return {
    code: codeAt(key, step),
    generated: Math.floor(now.getTime() / 1000),
    expire_time: (step + 1) * record.periodSeconds,
    period: formatDuration(record.periodSeconds),
  }
}

const viewOf = (key: KeyRecord): Record<string, unknown> => ({
  account_name: key.accountName,
  algorithm: key.algorithm,
  digits: key.digits,
  issuer: key.issuer,
  period: key.periodSeconds,
})

function keyFrom(asked: Asked, body: Body): KeyRecord {
  if (asked.generate && asked.key !== '') throw invalid('a key should not be passed if generate is true')
  if (asked.generate && asked.url !== '') throw invalid('a url should not be passed if generate is true')
  const wanted = asked.url === '' ? asked : { ...asked, ...partsOf(asked.url, body) }
  const algorithm = algorithms.find((known) => known === wanted.algorithm)
  if (wanted.digits !== 6 && wanted.digits !== 8) throw invalid('the digits value can only be 6 or 8')
  if (!algorithm) throw invalid('the algorithm value is not valid')
  if (wanted.period <= 0) throw invalid('the period value must be greater than zero')
  if (wanted.skew > 1) throw invalid('the skew value must be 0 or 1')
  if (wanted.key_size <= 0) throw invalid('the key_size value must be greater than zero')
  if (wanted.key_size > 512) throw invalid('the key_size value must not be greater than 512')
  return {
    secret: wanted.generate ? newSecret(wanted) : givenSecret(wanted.key),
    issuer: wanted.issuer,
    accountName: wanted.account_name,
    algorithm,
    digits: wanted.digits,
    periodSeconds: wanted.period,
    skew: wanted.skew,
  }
}

function newSecret({ account_name, issuer, key_size }: Asked): string {
  if (account_name === '') throw invalid('the account_name value is required for generated keys')
  if (issuer === '') throw invalid('the issuer value is required for generated keys')
  return toBase32(randomBytes(key_size))
}

function givenSecret(written: string): string {
  if (written === '') throw invalid('the key value is required')
  const bytes = fromBase32(written)
  // Not the words of a decoder, which may quote what it was given.
  if (!bytes) throw invalid('invalid key value: it is no base 32')
  return toBase32(bytes)
}

/** `otpauth://totp/Issuer:account?secret=…`; what the URL does not say is taken from the body. */
function partsOf(written: string, body: Body): Partial<Asked> {
  const url = URL.canParse(written) ? new URL(written) : undefined
  if (url?.protocol !== 'otpauth:') throw invalid('an error occurred while parsing url string')
  if (url.host !== 'totp')
    throw invalid(`codes of the kind "${url.host.slice(0, 20)}" are not made here: only totp`)
  const label = labelOf(url)
  const colon = label.indexOf(':')
  const query = Object.fromEntries(url.searchParams)
  const number = (name: string): number | undefined => {
    const text = query[name]
    if (text === undefined || text === '') return undefined
    if (!/^\d{1,6}$/.test(text)) throw invalid(`an error occurred while parsing ${name} value in url`)
    return Number(text)
  }
  const period = number('period')
  const digits = number('digits')
  return {
    key: query['secret'] ?? '',
    issuer: query['issuer'] || (colon < 0 ? String(body['issuer'] ?? '') : label.slice(0, colon)),
    account_name: colon < 0 ? label : label.slice(colon + 1),
    ...(query['algorithm'] ? { algorithm: query['algorithm'] } : {}),
    ...(period === undefined ? {} : { period }),
    ...(digits === undefined ? {} : { digits }),
  }
}

function labelOf({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname.slice(1))
  } catch {
    throw invalid('an error occurred while parsing url string')
  }
}

/** What an app on a phone wants to know, once. */
async function shown(record: KeyRecord, qrSize: number): Promise<Record<string, string>> {
  const label = `${encodeURIComponent(record.issuer)}:${encodeURIComponent(record.accountName)}`
  const query = [
    `algorithm=${record.algorithm}`,
    `digits=${record.digits}`,
    `issuer=${encodeURIComponent(record.issuer)}`,
    `period=${record.periodSeconds}`,
    `secret=${record.secret}`,
  ].join('&')
  const url = `otpauth://totp/${label}?${query}`
  if (qrSize > 2000) throw invalid('the qr_size value must not be greater than 2000')
  return qrSize === 0 ? { url } : { url, barcode: await qrImage(url, qrSize) }
}
