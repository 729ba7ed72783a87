import { createHmac } from 'node:crypto'
import type { Injection } from '@keyward/contract'
import { AppError, Secret } from '../core/index.ts'
import type { Claim } from './lend.ts'

type Aws = Extract<Injection, { kind: 'aws' }>

/** What a request is to be signed with. Of the secret key only a derivative leaves, good for one day, region and service. */
export type AwsSigning = {
  readonly accessKeyId: string
  readonly sessionToken: Secret | undefined
}

const dayMs = 24 * 3_600_000

/** Why no key is given for this scope; undefined when one is. Days far from today would be keys kept for later. */
export function scopeRefusal(how: Aws, { signing }: Claim, now: Date): string | undefined {
  if (!signing) return 'in requests that are signed with Signature Version 4 in their Authorization header.'
  const { date, region, service } = signing
  if (how.regions && !how.regions.includes(region)) return `for ${how.regions.join(', ')}, not for ${region}.`
  if (how.services && !how.services.includes(service))
    return `for ${how.services.join(', ')}, not for ${service}.`
  const days = [-dayMs, 0, dayMs].map((shift) => dateOf(new Date(now.getTime() + shift)))
  return days.includes(date) ? undefined : `for today, not for ${date}; check the clock of the sandbox.`
}

const dateOf = (at: Date): string => at.toISOString().slice(0, 10).replaceAll('-', '')

type Fields = Readonly<Record<string, Secret>>

export function signingWith(
  how: Aws,
  { signing }: Claim,
  secretKey: Secret,
  fields: Fields,
): { key: Secret; aws: AwsSigning } {
  const scope = signing ? [signing.date, signing.region, signing.service, 'aws4_request'] : []
  const from: Buffer = Buffer.from(`AWS4${secretKey.reveal()}`)
  const key = scope.reduce((parent, part) => createHmac('sha256', parent).update(part).digest(), from)
  const sessionToken =
    how.sessionTokenField === undefined ? undefined : fieldOf(fields, how.sessionTokenField)
  return {
    key: new Secret(key.toString('hex')),
    aws: { accessKeyId: fieldOf(fields, how.accessKeyIdField).reveal(), sessionToken },
  }
}

function fieldOf(fields: Fields, name: string): Secret {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (!value) throw new AppError('secret.not_found', `The secret has no field ${name}.`)
  return value
}
