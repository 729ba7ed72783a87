import type { Acl } from '../acl/acl.ts'
import type { Capability } from '../acl/policy-document.ts'
import type { Operation, PathSpec } from '../engine.ts'
import type { Mount } from '../mounts.ts'
import type { Asked, Verdict, Wanted } from '../permission.ts'
import type { Reason } from './explanation.ts'
import { gives, type KnownRule, nearMisses } from './rules.ts'

/** All that is known when the words are chosen. `mount` is undefined when the asker may not see one. */
export type Facts = {
  readonly asked: Asked
  readonly acl: Acl
  /** `open`: it needs no token. */
  readonly verdict: Verdict | { readonly kind: 'open' }
  readonly wanted: Wanted
  readonly spec: PathSpec | undefined
  readonly mount: Mount | undefined
  readonly visibleMounts: readonly Mount[]
  readonly rules: readonly KnownRule[]
  readonly deciding: readonly KnownRule[]
}

const kv2Endpoints = ['data', 'metadata', 'delete', 'undelete', 'destroy', 'subkeys', 'config']
const methods: Record<Operation, string> = {
  read: 'GET',
  list: 'LIST',
  update: 'POST',
  delete: 'DELETE',
  patch: 'PATCH',
}

/** What else may be behind it: the slips that people make most, each only when it fits this very request. */
export function hintsFor(facts: Facts): Reason[] {
  const refused = facts.verdict.kind === 'refused'
  const mistaken = [
    ...kv2RequestHints(facts),
    ...(refused ? [...kv2PolicyHints(facts), ...listHints(facts), ...shadowHints(facts)] : []),
  ]
  // A likeness of letters is worth saying only where nothing better is known.
  const like = refused && mistaken.length === 0 ? nearMissHints(facts) : []
  return [...mountHints(facts), ...mistaken, ...like, ...operationHints(facts)]
}

function mountHints({ asked, mount, visibleMounts, spec, deciding, verdict }: Facts): Reason[] {
  // Denied as a whole it is hidden too: the deny says enough.
  if (!mount && verdict.kind === 'refused' && deciding.length > 0) return []
  if (!mount && verdict.kind === 'open') return []
  if (!mount) {
    const seen = visibleMounts.map(({ path }) => path).sort()
    const list = seen.length === 0 ? '' : ` It can see: ${seen.join(', ')}.`
    return [{ code: 'no-mount', text: `No mount that this token can see serves ${asked.path}.${list}` }]
  }
  if (spec) return []
  return [
    {
      code: 'no-route',
      text: `${mount.path} (${mount.type}) has no such address: when policy allows it, the answer is 404.`,
    },
  ]
}

/** The address that was meant, when the endpoint of KV version 2 is left out or the wrong one. */
export function kv2Correction({ operation, path }: Asked, mount: Mount | undefined): string | undefined {
  if (mount?.version !== 2) return undefined
  const rest = path.slice(mount.path.length)
  const [first = ''] = rest.split('/')
  if (operation === 'list' && first === 'data') return `${mount.path}metadata/${rest.slice('data/'.length)}`
  if (rest === '' || kv2Endpoints.includes(first)) return undefined
  return `${mount.path}${operation === 'list' ? 'metadata' : 'data'}/${rest}`
}

function kv2RequestHints({ asked, mount }: Facts): Reason[] {
  const meant = kv2Correction(asked, mount)
  if (meant === undefined || !mount) return []
  const instead = `Ask ${methods[asked.operation]} ${meant}`
  if (asked.path.startsWith(`${mount.path}data/`))
    return [{ code: 'kv2-list', text: `Names are listed at metadata/, not at data/. ${instead}` }]
  const lacking = meant.slice(mount.path.length).split('/')[0]
  return [
    {
      code: 'kv2-request',
      text:
        `${mount.path} is KV version 2, and the request lacks ${lacking}/: values are at ${mount.path}data/…, names and ` +
        `versions at ${mount.path}metadata/…. ${instead}`,
    },
  ]
}

/** The `data/` of KV version 2 left out of the policy. */
function kv2PolicyHints({ asked, mount, rules, wanted }: Facts): Reason[] {
  if (mount?.version !== 2) return []
  const [first = '', ...names] = asked.path.slice(mount.path.length).split('/')
  if (!kv2Endpoints.includes(first)) return []
  const listing = asked.operation === 'list'
  const meant = (path: string) =>
    rules.find((known) => wanted.capabilities.some((capability) => gives(known, path, capability, listing)))
  const bare = meant(mount.path + names.join('/'))
  const otherSide = first === 'metadata' ? meant(`${mount.path}data/${names.join('/')}`) : undefined
  const hints: Reason[] = []
  if (bare)
    hints.push({
      code: 'kv2-policy',
      text:
        `${placeOf(bare)} is written for ${bare.placed.path}, but ${mount.path} is KV version 2: the policy must say ` +
        `${mount.path}${first}/${bare.placed.path.slice(mount.path.length)}`,
    })
  if (otherSide)
    hints.push({
      code: 'kv2-list',
      text: `${placeOf(otherSide)} is for ${otherSide.placed.path}; lists and versions are decided at ${mount.path}metadata/…`,
    })
  return hints
}

function listHints({ asked, acl, wanted }: Facts): Reason[] {
  if (asked.operation !== 'read' || !wanted.capabilities.includes('read')) return []
  const folder = asked.path.endsWith('/') ? asked.path : `${asked.path}/`
  if (!acl.allows(folder, 'list', true)) return []
  return [
    {
      code: 'list',
      text: `The token may list ${folder}, not read it: send LIST, or GET with ?list=true and the slash at the end.`,
    },
  ]
}

/** A wider rule would do, but only the most specific one counts. */
function shadowHints({ asked, deciding, rules, verdict }: Facts): Reason[] {
  const [first] = deciding
  if (verdict.kind !== 'refused' || !first) return []
  const listing = asked.operation === 'list'
  const wider = rules.filter(
    (known) =>
      known.placed.path !== first.placed.path &&
      verdict.missing.some((capability) => gives(known, asked.path, capability, listing)),
  )
  return wider.slice(0, 1).map((known) => ({
    code: 'shadowed',
    text: `${placeOf(known)} (${known.placed.path}) gives it, but only the most specific rule counts, and that is ${first.placed.path}.`,
  }))
}

function nearMissHints({ asked, rules, deciding, verdict }: Facts): Reason[] {
  if (verdict.kind !== 'refused' || deciding.length > 0) return []
  const useful = rules.filter(({ rule }) => !rule.capabilities.includes('deny'))
  return nearMisses(useful, asked.path)
    .slice(0, 2)
    .map((known) => ({
      code: 'near-miss',
      text: `${placeOf(known)} is for ${known.placed.path}. Is one of the two a slip of the pen?`,
    }))
}

function operationHints({ asked, spec, mount }: Facts): Reason[] {
  if (!spec || !mount) return []
  if (spec.refused !== undefined)
    return [{ code: 'unsupported', text: `${asked.path} is not supported here: ${spec.refused}` }]
  const answered = operationsOf(spec)
  if (answered.includes(asked.operation)) return []
  const list = answered.map((operation) => methods[operation]).join(', ')
  return [
    {
      code: 'unsupported',
      text: `${asked.path} does not answer ${methods[asked.operation]}: when policy allows it, the answer is 405.${list ? ` It answers ${list}.` : ''}`,
    },
  ]
}

function operationsOf(spec: PathSpec): Operation[] {
  const has: Record<Operation, unknown> = {
    read: spec.read ?? (spec.grant && (spec.grantsBy ?? ['read']).includes('read')),
    list: spec.list,
    update: spec.update ?? spec.post ?? spec.open ?? (spec.grant && spec.grantsBy?.includes('update')),
    delete: spec.delete,
    patch: spec.patch,
  }
  const all: Operation[] = ['read', 'list', 'update', 'patch', 'delete']
  return all.filter((operation) => has[operation] || spec.anybody?.operations.includes(operation))
}

export const placeOf = ({ placed }: Pick<KnownRule, 'placed'>): string =>
  `policy "${placed.policy}", line ${placed.line}`

export const listed = (names: readonly Capability[] | readonly string[], word = 'and'): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`
