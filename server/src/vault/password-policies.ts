import { randomInt } from 'node:crypto'
import { AppError, Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import { type HclBody, type HclEntry, type HclValue, parseHcl } from './acl/hcl.ts'
import type { Barrier } from './barrier/barrier.ts'

/** How generated passwords look: a length, and how many characters of which sets there are at least. */
export type PasswordPolicies = {
  names(): Promise<string[]>
  read(name: string, reader?: Reader): Promise<string | undefined>
  write(tx: Tx, name: string, text: string): Promise<void>
  remove(tx: Tx, name: string): Promise<void>
  /** Undefined when there is no such policy. */
  generate(name: string): Promise<Secret | undefined>
}

type Rule = { readonly characters: readonly string[]; readonly least: number }
type PasswordPolicy = { readonly length: number; readonly rules: readonly Rule[] }

const folder = 'sys/password-policy/'
const shortest = 4
const longest = 1024
const longestName = 128

export function createPasswordPolicies(
  barrier: Pick<Barrier, 'get' | 'put' | 'delete' | 'list'>,
): PasswordPolicies {
  async function read(name: string, reader?: Reader): Promise<string | undefined> {
    return (await barrier.get(folder + name, reader))?.toString('utf8')
  }
  return {
    names: () => barrier.list(folder),
    read,
    async write(tx, name, text) {
      if (!/^[\w-][\w.-]*$/.test(name) || name.length > longestName)
        throw new AppError('request.invalid', `"${name}" cannot be the name of a password policy`)
      parsePasswordPolicy(text)
      await barrier.put(tx, folder + name, text)
    },
    async remove(tx, name) {
      await barrier.delete(tx, folder + name)
    },
    async generate(name) {
      const text = await read(name)
      return text === undefined ? undefined : generatePassword(parsePasswordPolicy(text))
    },
  }
}

/** Reads `length = 20` and `rule "charset" { charset = "abc" min-chars = 1 }`, in HCL or JSON. */
export function parsePasswordPolicy(text: string): PasswordPolicy {
  let length = 0
  const rules: Rule[] = []
  for (const entry of parseHcl(text).entries) {
    if (entry.key === 'length') length = wholeNumber(entry, shortest, longest)
    else if (entry.key === 'rule') rules.push(...rulesOf(entry))
    else throw refused(entry, `"${entry.key}" is no part of a password policy`)
  }
  if (length === 0)
    throw new AppError('request.invalid', `a password policy says its length, ${shortest} to ${longest}`)
  const least = rules.reduce((sum, rule) => sum + rule.least, 0)
  if (rules.length === 0)
    throw new AppError('request.invalid', 'a password policy has at least one rule "charset"')
  if (least > length)
    throw new AppError(
      'request.invalid',
      `the rules ask for ${least} characters, more than the length ${length}`,
    )
  return { length, rules }
}

const isBody = (value: HclValue): value is HclBody =>
  typeof value === 'object' && !Array.isArray(value) && 'entries' in value

/** A block, or what JSON has in its place: `{"rule": [{"charset": {…}}]}`. */
function rulesOf(entry: HclEntry): Rule[] {
  const [kind] = entry.labels
  if (kind !== undefined) {
    if (kind !== 'charset' || !isBody(entry.value))
      throw refused(entry, `"${kind}" is no kind of rule; use "charset"`)
    return [ruleOf(entry, entry.value)]
  }
  const bodies = Array.isArray(entry.value) ? entry.value : [entry.value]
  return bodies.flatMap((body: HclValue) => {
    if (!isBody(body)) throw refused(entry, 'expected a rule')
    return body.entries.map((inner) => {
      if (inner.key !== 'charset' || !isBody(inner.value))
        throw refused(inner, `"${inner.key}" is no kind of rule`)
      return ruleOf(inner, inner.value)
    })
  })
}

function ruleOf(entry: HclEntry, body: HclBody): Rule {
  let characters: string[] = []
  let least = 0
  for (const attribute of body.entries) {
    if (attribute.key === 'charset' && typeof attribute.value === 'string')
      characters = [...new Set(attribute.value)]
    else if (attribute.key === 'min-chars') least = wholeNumber(attribute, 0, longest)
    else throw refused(attribute, `"${attribute.key}" is no part of a rule; use charset and min-chars`)
  }
  if (characters.length === 0) throw refused(entry, 'a rule has a charset')
  if (characters.some((character) => /\p{Cc}/u.test(character)))
    throw refused(entry, 'a charset has printable characters only')
  return { characters, least }
}

function wholeNumber(entry: HclEntry, least: number, most: number): number {
  const { value } = entry
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw refused(entry, `${entry.key} must be a whole number from ${least} to ${most}`)
  return value
}

/** First what each rule asks for, then the rest from all of them, then shuffled. */
export function generatePassword({ length, rules }: PasswordPolicy): Secret {
  const pick = (from: readonly string[]): string => from[randomInt(from.length)] ?? ''
  const all = [...new Set(rules.flatMap(({ characters }) => characters))]
  const picked = rules.flatMap(({ characters, least }) =>
    Array.from({ length: least }, () => pick(characters)),
  )
  while (picked.length < length) picked.push(pick(all))
  for (let last = picked.length - 1; last > 0; last--) {
    const other = randomInt(last + 1)
    const kept = picked[last] ?? ''
    picked[last] = picked[other] ?? ''
    picked[other] = kept
  }
  return new Secret(picked.join(''))
}

const refused = (entry: HclEntry, what: string): AppError =>
  new AppError('policy.invalid', `line ${entry.line}, column ${entry.column}: ${what}`)
