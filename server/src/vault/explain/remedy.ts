import { compileAcl } from '../acl/acl.ts'
import { type Capability, capabilities, parsePolicy } from '../acl/policy-document.ts'
import { type Asked, judge, type Wanted } from '../permission.ts'
import type { Match } from '../router.ts'
import type { Facts } from './hints.ts'
import type { KnownRule } from './rules.ts'

/**
 * The stanza that would allow the request, and nothing that it does not need. A stanza of its own for the path outweighs every
 * wider rule, so it also repeats what the deciding rule gives there already. Null where adding cannot help: a `deny` for this very
 * path wins, and what a rule forbids or requires stays so.
 */
export function remedyFor(
  asked: Asked,
  verdict: Facts['verdict'],
  {
    match,
    rules,
    deciding,
    wanted,
  }: {
    match: Match | undefined
    rules: readonly KnownRule[]
    deciding: readonly KnownRule[]
    wanted: Wanted
  },
): string | null {
  const stanza = stanzaFor(asked, verdict, deciding, wanted)
  if (!stanza) return null
  const added = parsePolicy(stanza)
  const acl = compileAcl([rules.map(({ rule }) => rule), added])
  // Only what has been tried is said.
  return judge(asked, acl, wanted, match).kind === 'granted' ? stanza : null
}

function stanzaFor(
  { path }: Asked,
  verdict: Facts['verdict'],
  deciding: readonly KnownRule[],
  { capabilities: wanted }: Wanted,
): string | undefined {
  const given = deciding.flatMap(({ rule }) => rule.capabilities)
  if (verdict.kind === 'limited') {
    const [first] = deciding
    if (verdict.violation.kind !== 'not-allowed' || !first) return undefined
    return stanzaText(first.placed.path, wanted, verdict.violation.names)
  }
  if (verdict.kind !== 'refused' || path.endsWith('*') || path.split('/').includes('+')) return undefined
  // From a rule that denies nothing is kept.
  const kept = given.includes('deny') ? [] : given
  return stanzaText(path, [...kept, ...wanted])
}

function stanzaText(path: string, wanted: readonly Capability[], parameters: readonly string[] = []): string {
  const list = capabilities.filter((capability) => wanted.includes(capability)).map((name) => `"${name}"`)
  const allowed = parameters.map((name) => `    ${quoted(name)} = []\n`).join('')
  const block = allowed === '' ? '' : `  allowed_parameters = {\n${allowed}  }\n`
  return `path ${quoted(path)} {\n  capabilities = [${list.join(', ')}]\n${block}}\n`
}

const quoted = (text: string): string => JSON.stringify(text)
