import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Subject } from '../identity/records.ts'
import { type Acl, compileAcl, rootAcl } from './acl.ts'
import { defaultPolicy } from './default-policy.ts'
import { type PathRule, parsePolicy } from './policy-document.ts'
import { fillTemplate } from './templates.ts'

/** The policy of a token that stands for a wrapped answer. No other token can have it. */
export const wrappingPolicy = 'response-wrapping'

/** The ACL policies of `/v1`, by name. */
export type Policies = {
  names(): Promise<string[]>
  /** The text as it was written; `root` has none. */
  read(name: string, reader?: Reader): Promise<string | undefined>
  write(tx: Tx, name: string, text: string): Promise<void>
  remove(tx: Tx, name: string): Promise<void>
  /** For a token of these policies. Templates in them are filled for whom it belongs to, or do not count. */
  compile(names: readonly string[], subject?: Subject): Promise<Acl>
  /** Called after each change, so that compiled policies are dropped. */
  onChange(call: () => void): void
  setUp(tx: Tx): Promise<void>
}

/** The policy of tokens that stand for a wrapped answer: it cannot be changed, nor given to another token. */
const wrappingRules = `path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`
const folder = 'sys/policy/'
const maxNameLength = 128
const unchangeable: ReadonlySet<string> = new Set(['root', wrappingPolicy])

export function createPolicies(barrier: Barrier): Policies {
  const listeners: (() => void)[] = []
  const changed = (): void => {
    for (const call of listeners) call()
  }

  async function rulesOf(name: string): Promise<readonly PathRule[]> {
    if (name === wrappingPolicy) return parsePolicy(wrappingRules)
    return (await barrier.view(folder + name, (bytes) => parsePolicy(bytes.toString('utf8')))) ?? []
  }

  return {
    names: async () => [...(await barrier.list(folder)), 'root'].sort(),
    async read(name, reader) {
      if (name === 'root') return ''
      return (await barrier.get(folder + name.toLowerCase(), reader))?.toString('utf8')
    },
    async write(tx, name, text) {
      if (unchangeable.has(name.toLowerCase()))
        throw new AppError('request.invalid', `cannot update "${name}" policy`)
      assertName(name)
      if (text.trim() === '')
        throw new AppError('request.invalid', "'policy' parameter not supplied or empty")
      parsePolicy(text)
      await barrier.put(tx, folder + name.toLowerCase(), text)
      tx.afterCommit(changed)
    },
    async remove(tx, name) {
      if (unchangeable.has(name.toLowerCase()))
        throw new AppError('request.invalid', `cannot delete "${name}" policy`)
      if (name.toLowerCase() === 'default')
        throw new AppError('request.invalid', 'cannot delete default policy')
      await barrier.delete(tx, folder + name.toLowerCase())
      tx.afterCommit(changed)
    },
    async compile(names, subject) {
      if (names.includes('root')) return rootAcl
      const rules = await Promise.all(names.map(rulesOf))
      return compileAcl(rules.map((each) => filled(each, subject)))
    },
    onChange: (call) => void listeners.push(call),
    setUp: (tx) => barrier.put(tx, `${folder}default`, defaultPolicy),
  }
}

function filled(rules: readonly PathRule[], subject: Subject | undefined): readonly PathRule[] {
  if (!rules.some(({ template }) => template)) return rules
  return rules.flatMap((rule) => {
    const path = rule.template ? fillTemplate(rule.path, subject) : rule.path
    return path === undefined ? [] : [{ ...rule, path }]
  })
}

/** Refuses the policies that no auth method, role or caller may put on a token. */
export function assertGivable(name: string): void {
  if (name === wrappingPolicy) throw new AppError('request.invalid', `cannot assign policy "${name}"`)
  if (name === 'root') throw new AppError('request.invalid', 'auth methods cannot create root tokens')
}

function assertName(name: string): void {
  if (name.length === 0 || name.length > maxNameLength || /[/\s\p{Cc}]/u.test(name))
    throw new AppError(
      'request.invalid',
      `a policy's name has 1 to ${maxNameLength} characters without "/" and spaces`,
    )
}
