import { createHash } from 'node:crypto'
import type { Audit } from '../audit/index.ts'
import { AppError, actorOf, type Clock, type Principal } from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import type { PolicyMap } from './engine.ts'
import type { CustomPolicy, Policy } from './policy.ts'
import { insertVersion, newestVersions, type PolicyRow, versionsOf } from './policy-store.ts'

export type PolicyVersion = {
  readonly version: number
  /** Null when this version removed the file. */
  readonly text: string | null
  readonly writtenBy: string
  readonly writtenAt: Date
}

/** The policies that owners write beside the default ones; every version is kept. */
export type CustomPolicies = {
  /** Puts what is stored into force; at start. Throws `policy.invalid` when a stored file no longer fits the schema. */
  load(): Promise<void>
  /** In force when the transaction commits. Throws `policy.denied`, `policy.invalid`. */
  write(tx: Tx, file: { name: string; text: string; by: Principal }): Promise<{ version: number }>
  /** Throws `policy.denied`, `request.not_found`. */
  remove(tx: Tx, name: string, by: Principal): Promise<void>
  /** Newest first. */
  versions(name: string): Promise<PolicyVersion[]>
}

type Needs = {
  store: Pick<Store, 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  clock: Pick<Clock, 'now'>
  policy: Pick<Policy, 'compile' | 'prepare' | 'decide' | 'files'>
}

export function createCustomPolicies({ store, audit, clock, policy }: Needs): CustomPolicies {
  const schemaDigest = createHash('sha256').update(policy.files().schema).digest('hex')

  /** What was compiled against an older schema is checked again. */
  function compiledOf({ name, text, compiled, schema_digest }: PolicyRow): CustomPolicy | undefined {
    if (text === null || compiled === null) return undefined
    if (schema_digest !== schemaDigest) return policy.compile({ name, text })
    return { name, text, compiled: JSON.parse(compiled) as PolicyMap }
  }

  async function inForce(reader: Reader): Promise<CustomPolicy[]> {
    return (await newestVersions(reader)).map(compiledOf).filter((file) => file !== undefined)
  }

  function requireOwner(by: Principal, name: string): void {
    const decision = policy.decide({
      principal: by,
      action: 'policies.write',
      resource: { type: 'PolicySet', id: name },
    })
    if (!decision.allow) throw new AppError('policy.denied', decision.reason)
  }

  /** Adds a version, records it, and puts the whole set into force once the transaction has committed. */
  async function add(tx: Tx, name: string, text: string | null, by: Principal): Promise<number> {
    const file = text === null ? undefined : policy.compile({ name, text })
    const others = (await inForce(tx)).filter((other) => other.name !== name)
    const apply = policy.prepare(file ? [...others, file] : others)
    const version = Number((await versionsOf(tx, name))[0]?.version ?? 0) + 1
    await insertVersion(tx, {
      name,
      version,
      text,
      compiled: file ? JSON.stringify(file.compiled) : null,
      schema_digest: schemaDigest,
      written_by: actorOf(by),
      written_at: clock.now().getTime(),
    })
    await audit.record(tx, {
      type: text === null ? 'policy.deleted' : 'policy.written',
      outcome: 'done',
      actor: actorOf(by),
      target: `policy:${name}`,
      detail: { version, text },
    })
    tx.afterCommit(apply)
    return version
  }

  return {
    async load() {
      policy.prepare(await inForce(store))()
    },
    async write(tx, { name, text, by }) {
      requireOwner(by, name)
      return { version: await add(tx, name, text, by) }
    },
    async remove(tx, name, by) {
      requireOwner(by, name)
      const [newest] = await versionsOf(tx, name)
      if (!newest || newest.text === null) {
        throw new AppError('request.not_found', `No policy file is named ${name}.`)
      }
      await add(tx, name, null, by)
    },
    async versions(name) {
      return (await versionsOf(store, name)).map((row) => ({
        version: Number(row.version),
        text: row.text,
        writtenBy: row.written_by,
        writtenAt: new Date(row.written_at),
      }))
    },
  }
}
