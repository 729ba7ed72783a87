import type { Audit } from '../../../audit/index.ts'
import { AppError, actorOf, newUuid, Secret } from '../../../core/index.ts'
import { containsAddress } from '../../cidr.ts'
import type { PathSpec } from '../../engine.ts'
import { failureOf } from '../../render.ts'
import type { VaultRequest, VaultResponse } from '../../request-context.ts'
import type { Routed, Router } from '../../router.ts'
import type { LiveToken } from '../../tokens/token-record.ts'
import { has } from './openapi.ts'

type Needs = {
  audit: Pick<Audit, 'recordNow'>
  router: Pick<Router, 'match' | 'routed'>
  authenticate: (token: Secret) => Promise<LiveToken | undefined>
  now: () => Date
}
type Handle = (request: VaultRequest) => Promise<VaultResponse>

/** `path-help`: what can be asked at a path. Every valid token may know; nothing of it depends on what is stored. */
export function createPathHelp({ audit, router, authenticate, now }: Needs): (handle: Handle) => Handle {
  async function help({ path, token, remoteAddress }: VaultRequest): Promise<VaultResponse> {
    const live = token && (await authenticate(token))
    if (!live || !containsAddress(live.record.boundCidrs ?? [], remoteAddress))
      throw new AppError('token.invalid')
    const text = textFor(router, path)
    await audit.recordNow({
      type: 'vault.request',
      outcome: text === undefined ? 'failed' : 'done',
      actor: actorOf(live.principal),
      target: `path:${path}`,
      correlation: newUuid(now()),
      detail: { operation: 'help' },
    })
    if (text === undefined) throw new AppError('request.not_found', `no handler for route "${path}"`)
    return { status: 200, body: new Secret(`${JSON.stringify({ help: text, see_also: null })}\n`) }
  }
  return (handle) => (request) =>
    request.method === 'GET' && request.query['help'] ? help(request).catch(failureOf) : handle(request)
}

function textFor({ match, routed }: Needs['router'], path: string): string | undefined {
  const mount = routed().find((known) => known.path === `${path.replace(/\/+$/, '')}/`)
  if (mount) return mountText(mount)
  const found = match(path)
  return found && pathText(found.mountPath, path, found.spec)
}

function mountText({ path, engine }: Routed): string {
  const paths = engine.paths.filter(({ refused }) => refused === undefined)
  const lines = paths.map((spec) => `    ${spec.pattern}\n        ${operationsOf(spec)}\n`)
  return `## DESCRIPTION\n\n${path} is served by the engine "${engine.type}".\n\n## PATHS\n\nThe paths below the mount, with what can be asked of each:\n\n${lines.join('\n')}`
}

function pathText(mountPath: string, path: string, spec: PathSpec): string {
  const notes = [
    `Request:        ${path.slice(mountPath.length)}`,
    `Matching Route: ${spec.pattern}`,
    '',
    spec.refused === undefined ? `Operations: ${operationsOf(spec)}` : `Not supported: ${spec.refused}`,
    ...(spec.sudo ? ['Needs the capability "sudo" too.'] : []),
    ...(spec.open ? ['Writing needs no token: who asks is proved in another way.'] : []),
  ]
  return `${notes.join('\n')}\n`
}

const operationsOf = (spec: PathSpec): string =>
  (['read', 'list', 'update', 'patch', 'delete'] as const)
    .filter((operation) => has(spec, operation))
    .join(', ')
