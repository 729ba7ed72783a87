import { AppError } from '../core/index.ts'
import type { Policies } from './acl/policies.ts'
import type { Barrier } from './barrier/barrier.ts'
import { authPrefix } from './mount-config.ts'
import type { Mount, Mounts } from './mounts.ts'
import type { TokenRecord } from './tokens/token-record.ts'
import type { Tokens } from './tokens/tokens.ts'

export type MountInfo = Pick<Mount, 'path' | 'type' | 'version' | 'description' | 'accessor'> & {
  readonly kind: 'secret' | 'auth'
  /** 0: the system's. */
  readonly defaultTtlSeconds: number
  readonly maxTtlSeconds: number
  /** Every vault has it. */
  readonly fixed: boolean
}

/** A token by its accessor. Times are milliseconds. */
export type TokenInfo = Omit<TokenRecord, 'id'>

/** What an operator looks at: names and states, no values. Throws `vault.sealed` while there is nothing to look at. */
export type Overview = {
  mounts(): MountInfo[]
  mountTypes(): ReturnType<Mounts['types']>
  /** The key that encrypts what is written now. */
  key(): { readonly term: number; readonly createdAt: Date; readonly encryptions: number }
  policyNames(): Promise<string[]>
  policyText(name: string): Promise<string | undefined>
  /** After what an earlier page ended with. */
  tokens(page: {
    cursor: string | undefined
    limit: number
  }): Promise<{ items: TokenInfo[]; next: string | null }>
}

type Needs = {
  mounts: Pick<Mounts, 'all' | 'types'>
  barrier: Pick<Barrier, 'terms'>
  policies: Pick<Policies, 'names' | 'read'>
  tokens: Pick<Tokens, 'page'>
  isOpen: () => boolean
}

export function createOverview({ mounts, barrier, policies, tokens, isOpen }: Needs): Overview {
  const assertOpen = (): void => {
    if (!isOpen()) throw new AppError('vault.sealed')
  }
  return {
    mounts() {
      assertOpen()
      return mounts
        .all()
        .map(mountInfo)
        .sort((a, b) => (a.path < b.path ? -1 : 1))
    },
    mountTypes() {
      assertOpen()
      return mounts.types()
    },
    key() {
      assertOpen()
      const newest = barrier.terms().at(-1)
      if (!newest) throw new AppError('vault.sealed')
      return newest
    },
    async policyNames() {
      assertOpen()
      return policies.names()
    },
    async policyText(name) {
      assertOpen()
      return policies.read(name)
    },
    async tokens({ cursor = '', limit }) {
      assertOpen()
      return tokens.page(cursor, limit)
    },
  }
}

const mountInfo = ({ path, type, id, version, description, accessor, config = {} }: Mount): MountInfo => ({
  path,
  type,
  version,
  description,
  accessor,
  kind: path.startsWith(authPrefix) ? 'auth' : 'secret',
  defaultTtlSeconds: config.defaultTtlSeconds ?? 0,
  maxTtlSeconds: config.maxTtlSeconds ?? 0,
  fixed: id === type,
})
