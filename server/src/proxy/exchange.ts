import type { Code } from '@keyward/contract'
import type { Budgets } from './budgets.ts'
import type { HttpRequest } from './either-http.ts'
import { valuesOf } from './headers.ts'
import { pathOf, type Tunnel, type Verdict } from './judge.ts'
import type { Ask, Questions, ResolveClaim } from './messages.ts'
import { exchange, fitsHeader, placeholdersIn, type RequestParts } from './placeholders.ts'
import { type Place, placesIn } from './places.ts'
import { type Patterns, shortestValue } from './redact.ts'
import type { ClientCertificate } from './route.ts'
import { type Signing, signatureIn } from './sigv4.ts'
import type { Tally } from './tally.ts'

type Needs = {
  readonly sandboxId: string
  readonly ask: Ask
  readonly patterns: Patterns
  readonly budgets: Budgets
}
type Asked = { readonly request: HttpRequest; readonly tunnel: Tunnel; readonly tally: Tally }
/** With what a request must be signed, and the connection that it goes out by be made. */
type Credentials = { readonly signing?: Signing; readonly certificate?: ClientCertificate }
type Resolved = Credentials & { readonly value: string; readonly prefix: string }
export type Exchanged = RequestParts & Credentials
/** Exchanges every placeholder of a request for its value, or says which one may not be and why. */
export type Exchange = (parts: RequestParts, asked: Asked) => Promise<Exchanged | Verdict>

/** The same for one text message of a WebSocket, which has one place: `message`. */
export type ExchangeMessage = (message: Buffer, asked: Asked) => Promise<Buffer | Verdict>

/** Refusals of a placeholder that no honest program meets; the others say that it came too late, or cannot be answered now. */
const misuse: readonly Code[] = ['lease.not_found', 'egress.denied', 'policy.denied']

export function createExchange({ sandboxId, ask, patterns, budgets }: Needs): {
  request: Exchange
  message: ExchangeMessage
} {
  const note = (
    { value, aws, leaseId, budgets: known, expiresAt }: Questions['resolve']['answer'],
    tally: Tally,
  ): void => {
    patterns.add(value)
    if (aws?.sessionToken) patterns.add(aws.sessionToken)
    // Once each: a WebSocket may use a lease in every message for hours, and its one record must stay writable.
    if (leaseId !== null && !tally.leaseIds.includes(leaseId)) tally.leaseIds.push(leaseId)
    budgets.join(tally, known)
    if (expiresAt && !(tally.expiresAt && tally.expiresAt < expiresAt)) tally.expiresAt = expiresAt
  }

  /** One placeholder's value, which is looked for in every answer from here on. */
  const resolveOne = async (claim: ResolveClaim, tally: Tally): Promise<Resolved | Verdict> => {
    const reply = await ask('resolve', claim)
    if ('refusal' in reply) {
      return misuse.includes(reply.refusal.code) ? { ...reply.refusal, outcome: 'misused' } : reply.refusal
    }
    note(reply.answer, tally)
    const { value, prefix, aws, certificatePem } = reply.answer
    // Nothing takes the place of its placeholder: a key is written nowhere.
    if (certificatePem !== null) return { value: '', prefix, certificate: { certificatePem, keyPem: value } }
    if (aws && claim.signing) {
      const signing = { ...aws, scope: claim.signing, key: value }
      return { value: aws.accessKeyId, prefix, signing }
    }
    if (value.length >= shortestValue && fitsHeader(value)) return { value, prefix }
    const reason = `A secret of several lines, or of less than ${shortestValue} characters, cannot be lent through the proxy.`
    return { code: 'request.invalid', reason }
  }

  const resolveAll = async (
    found: ReadonlyMap<string, readonly Place[]>,
    parts: Pick<RequestParts, 'target' | 'headers'>,
    { request, tunnel, tally }: Asked,
  ): Promise<Map<string, Resolved> | Verdict> => {
    tally.placeholders += found.size
    const values = new Map<string, Resolved>()
    const at = {
      sandboxId,
      signing: signatureIn(parts.headers)?.scope,
      ...tunnel.route.authority,
      method: request.method ?? '',
      path: pathOf(parts.target),
    }
    for (const [placeholder, places] of found) {
      const resolved = await resolveOne({ ...at, placeholder, places }, tally)
      if ('code' in resolved) return resolved
      values.set(placeholder, resolved)
    }
    return values
  }

  return {
    async request(parts, asked) {
      const values = await resolveAll(placesIn(parts), parts, asked)
      if ('code' in values) return values
      const credentials = credentialsIn(parts, [...values.values()])
      if ('code' in credentials || values.size === 0) return 'code' in credentials ? credentials : parts
      return { ...exchange(parts, values), ...credentials }
    },
    async message(message, asked) {
      const found = new Map(placeholdersIn(message.toString('latin1')).map((each) => [each, ['message']]))
      const parts = {
        target: asked.request.url ?? '',
        headers: [],
        body: message,
        contentType: typeOf(message),
      }
      const values = await resolveAll(found, parts, asked)
      return 'code' in values ? values : (exchange(parts, values).body ?? message)
    },
  }
}

const oneCertificate: Verdict = {
  code: 'request.invalid',
  reason: 'The header Keyward-Lease takes one placeholder, of a client certificate, once in a request.',
}

function credentialsIn({ headers }: RequestParts, values: readonly Resolved[]): Credentials | Verdict {
  const certificates = values.flatMap(({ certificate }) => certificate ?? [])
  const [certificate] = certificates
  const wanted = valuesOf(headers, 'keyward-lease').length
  if (certificates.length !== wanted || wanted > 1) return oneCertificate
  const signing = values.find((value) => value.signing)?.signing
  return { ...(signing ? { signing } : {}), ...(certificate ? { certificate } : {}) }
}

/** A message has no type; what reads as JSON is taken for it, so that a value cannot end its string. */
function typeOf(message: Buffer): string {
  try {
    JSON.parse(message.toString())
    return 'application/json'
  } catch {
    return 'text/plain'
  }
}
