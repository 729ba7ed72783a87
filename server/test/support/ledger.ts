import type { Engine } from '../../src/vault/index.ts'

/** What stands for a database: it knows who has an account, and fails, hangs or stops as it is told. */
export type Ledger = {
  readonly accounts: Set<string>
  /** What it was asked to do, in order. */
  readonly calls: string[]
  onMake: (name: string) => Promise<void>
  onEnd: (name: string) => Promise<void>
  onExtend: (name: string, until: Date) => Promise<void>
  readonly type: string
  engine: () => Engine
}

type Terms = { ttlSeconds?: number; maxTtlSeconds?: number; renewable?: boolean; mostLeases?: number }

/** A secrets engine whose credentials are names in a set: `creds/<role>`. */
export function createLedger(terms: Terms = {}): Ledger {
  let next = 0
  const accounts = new Set<string>()
  const calls: string[] = []
  const ledger: Ledger = {
    accounts,
    calls,
    onMake: async () => undefined,
    onEnd: async () => undefined,
    onExtend: async () => undefined,
    type: 'ledger',
    engine: () => ({
      type: 'ledger',
      paths: [
        {
          pattern: 'creds/{role}',
          grantsBy: ['read', 'update'],
          async grant({ params }) {
            const name = `${params['role']}-${++next}`
            return {
              ttlSeconds: 600,
              maxTtlSeconds: 3600,
              renewable: true,
              mostLeases: 0,
              ...terms,
              role: params['role'] ?? '',
              state: { name },
              async make() {
                calls.push(`make ${name}`)
                await ledger.onMake(name)
                accounts.add(name)
                return { username: name, password: `made-up-${name}` }
              },
            }
          },
        },
      ],
      async wipe() {},
      async endLease({ state }) {
        const name = String(state['name'])
        calls.push(`end ${name}`)
        await ledger.onEnd(name)
        accounts.delete(name)
      },
      async extendLease({ state }, until) {
        const name = String(state['name'])
        calls.push(`extend ${name}`)
        await ledger.onExtend(name, until)
      },
    }),
  }
  return ledger
}
