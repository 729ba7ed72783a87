import type { Operation } from '@keyward/contract'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Audit } from '../audit/index.ts'
import {
  AppError,
  actorOf,
  formatTraceparent,
  type Log,
  type Principal,
  parseTraceparent,
  reasonOf,
} from '../core/index.ts'
import type { Facts, Policy } from '../policy/index.ts'
import { type Authenticate, presentedToken, refuseForgery } from './credentials.ts'
import { problemOf } from './problem.ts'
import type { Call, Resource, Route } from './route.ts'

export type ApiNeeds = {
  authenticate: Authenticate
  policy: Pick<Policy, 'decide' | 'resourceTypeOf'>
  audit: Pick<Audit, 'recordNow'>
  /** Facts that every decision gets: sign-in age, whether only one account exists. */
  circumstances: (principal: Principal) => Promise<Facts>
  log: Log
  secure: boolean
}

const nobody: Principal = { kind: 'system', id: 'anonymous', name: 'anonymous', roles: [] }

/** Serves the operations below /api/v1: authenticate, check the shapes, ask policy, answer. */
export function mountApi(app: FastifyInstance, routes: readonly Route[], needs: ApiNeeds): void {
  for (const { operation, resource, decidedByDomain, handle } of routes) {
    const shapes = shapesOf(operation)
    app.route({
      method: operation.method,
      url: `/api/v1${operation.path.replace(/\{(\w+)\}/g, ':$1')}`,
      async handler(request, reply) {
        const call = await callOf(request, reply, operation.access, needs)
        const input = parse(shapes, operation.method, request) as never
        if (operation.access === 'policy' && !decidedByDomain) {
          const asked = (await resource?.(input, call)) ?? anyOf(operation.name, needs.policy)
          for (const one of [asked].flat()) await allow(operation.name, one, call, needs)
        }
        return reply.send(await handle(input, call))
      },
    })
  }
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, needs.log))
}

/** Who calls, once policy allows the action on all of its resources. For addresses that are no operation of the contract. */
export async function authorise(
  action: string,
  request: FastifyRequest,
  reply: FastifyReply,
  needs: ApiNeeds,
  resource: Resource = anyOf(action, needs.policy),
): Promise<Call> {
  const call = await callOf(request, reply, 'policy', needs)
  await allow(action, resource, call, needs)
  return call
}

export function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): FastifyReply {
  const problem = problemOf(error, request.id)
  if (problem.status >= 500)
    log.error({ request_id: request.id, code: problem.code, reason: reasonOf(error) }, 'request failed')
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(problem.status).type('application/problem+json').send(problem)
}

async function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  access: 'public' | 'policy',
  { authenticate }: ApiNeeds,
): Promise<Call> {
  const presented = presentedToken(request.headers)
  refuseForgery(request.method, request.headers, presented)
  const base = {
    requestId: request.id,
    token: presented?.token ?? '',
    setCookie: (value: string) => void reply.header('set-cookie', value),
    isGone: () => request.raw.socket.destroyed,
    traceparent: traceparentIn(request.headers['traceparent']),
    channel: channelOf(presented?.by, request.headers['user-agent']),
  }
  if (access === 'public') return { ...base, principal: nobody }
  const principal = presented ? await authenticate(presented.token) : undefined
  if (!principal)
    throw new AppError(
      'session.required',
      'sign in with the link that the server printed, or run: keyward login',
    )
  return { ...base, principal }
}

function traceparentIn(header: string | readonly string[] | undefined): string | undefined {
  const context = typeof header === 'string' ? parseTraceparent(header) : undefined
  return context && formatTraceparent(context)
}

function channelOf(by: 'cookie' | 'header' | undefined, program = ''): Call['channel'] {
  if (by === 'cookie') return 'console'
  return program.startsWith('keyward-cli/') ? 'cli' : 'api'
}

type Shapes = Readonly<Record<'params' | 'query' | 'body', z.ZodType<Record<string, unknown>>>>

const shapesOf = ({ params, query, body }: Operation): Shapes => ({
  params: z.strictObject(params),
  query: z.strictObject(query),
  body: z.strictObject(body),
})

/** Params, query and body as one object; a body is an object or absent. Each field comes from its own place: no secret in a URL. */
function parse(shapes: Shapes, method: string, request: FastifyRequest): unknown {
  const body = method === 'GET' || request.body === undefined || request.body === null ? {} : request.body
  if (typeof body !== 'object' || Array.isArray(body))
    throw new AppError('request.invalid', 'the body must be a JSON object')
  const given = { body, query: request.query, params: request.params }
  const results = (['body', 'query', 'params'] as const).map((place) => shapes[place].safeParse(given[place]))
  const issues = results.flatMap((result) => result.error?.issues ?? [])
  if (issues.length === 0) return Object.assign({}, ...results.map((result) => result.data))
  // A field that is not known comes first: misspelt, it is why another one is missing.
  const order = [...issues].sort((a, b) => Number(isUnknown(b)) - Number(isUnknown(a)))
  const places = order.map((issue) => `${issue.path.join('.') || 'request'}: ${issue.message}`)
  throw new AppError('request.invalid', places.slice(0, 5).join('; '))
}

const isUnknown = ({ code }: { code?: string | undefined }): boolean => code === 'unrecognized_keys'

function anyOf(action: string, policy: ApiNeeds['policy']): Resource {
  return { type: policy.resourceTypeOf(action) ?? 'Server', id: '*' }
}

async function allow(
  action: string,
  resource: Resource,
  { principal, requestId }: Call,
  needs: ApiNeeds,
): Promise<void> {
  const decision = needs.policy.decide({
    principal,
    action,
    resource,
    context: await needs.circumstances(principal),
  })
  if (decision.allow) return
  await needs.audit.recordNow({
    type: 'operation.refused',
    outcome: 'denied',
    actor: actorOf(principal),
    target: `${resource.type}:${resource.id}`,
    correlation: requestId,
    detail: { action, policies: [...decision.policies], reason: decision.reason },
  })
  throw new AppError('policy.denied', decision.reason)
}
