import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Bus } from '../bus/index.ts'
import { AppError, type Clock, newUuid, parseListen, reasonOf, systemClock } from '../core/index.ts'
import type { TaskOutput } from '../flows/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { type ApiNeeds, answerProblem, mountApi } from './api.ts'
import { mountChannelHooks, type ReceiveFromChannel } from './channel-hooks.ts'
import { consoleHandler } from './console.ts'
import { openApiDocument } from './openapi.ts'
import type { Route } from './route.ts'
import { refuseForeignHost, refuseForeignPage, securityHeaders } from './security-headers.ts'
import { mountStreams } from './streams.ts'
import { createVaultFront } from './vault/index.ts'
import { mountWebhooks, type ReceiveHooks } from './webhooks.ts'

const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

type HttpServer = {
  /** `http://127.0.0.1:8200`. */
  readonly address: string
  close(): Promise<void>
}

export type TlsFiles = { readonly certificatePem: string; readonly keyPem: string }

type Needs = Omit<ApiNeeds, 'secure'> & {
  routes: (secure: boolean) => readonly Route[]
  vault: Parameters<typeof createVaultFront>[0]['vault']
  bus: Pick<Bus, 'subscribe' | 'since'>
  taskOutput: Pick<TaskOutput, 'read' | 'follow'>
  workflow: Pick<Workflow, 'read'>
  clock: Pick<Clock, 'after' | 'now'>
  consoleDir: string
  version: string
  receiveHooks: ReceiveHooks
  receiveFromChannel: ReceiveFromChannel
  /** Prometheus text. */
  metrics: () => Promise<string>
  health: () => Promise<{ state: 'ok' | 'degraded' | 'failing'; [part: string]: unknown }>
}

const largestBodyBytes = 1024 * 1024
const loopbackHosts = ['127.0.0.1', '::1', 'localhost']

/** One port: console at /, API at /api/v1, Vault's dialect at /v1, /metrics and /healthz. */
export async function startHttpServer(
  listen: string,
  tls: TlsFiles | undefined,
  needs: Needs,
): Promise<HttpServer> {
  const { host, port } = parseListen(listen, '--listen')
  const loopback = loopbackHosts.includes(host)
  if (!loopback && !tls)
    throw new AppError(
      'request.invalid',
      `--listen ${listen} is not loopback, so it needs TLS: give --tls-cert and --tls-key`,
    )
  const secure = tls !== undefined
  const guard = foreignGuard(loopback)
  const knowsHost = (host: string): boolean => guard({ host }, false) === undefined
  const vaultFront = createVaultFront({ vault: needs.vault, log: needs.log, clock: needs.clock, knowsHost })
  const app = Fastify({
    bodyLimit: largestBodyBytes,
    schemaController: { compilersFactory: withoutSchemas },
    genReqId: () => newUuid(systemClock.now()),
    // An address that cannot be decoded never reaches a route, nor its hooks.
    frameworkErrors: (error, request, reply) => {
      answerProblem(error, request, reply.headers(securityHeaders(secure)), needs.log)
    },
    serverFactory: (handler) => createServer(tls, dispatch(vaultFront.handler, guard, handler)),
  })
  mount(app, needs, { secure, loopback })
  await app.ready()
  const server = app.server as Server
  const lane = vaultFront.attach(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(listen, error)))
    server.listen(port, host, resolve)
  })
  const bound = server.address() as AddressInfo
  const shown = isIP(bound.address) === 6 ? `[${bound.address}]` : bound.address
  return {
    address: `${secure ? 'https' : 'http'}://${shown}:${bound.port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      lane.closeAll()
      await closed
      await app.close()
    },
  }
}

/**
 * Shapes are checked by the contract's own, so no route has a schema of Fastify's. Without these it loads a hundred modules that
 * compile such schemas.
 */
const noSchemas = () => (): never => {
  throw new Error('a route has a schema of Fastify')
}
const withoutSchemas = { buildValidator: noSchemas, buildSerializer: noSchemas }

type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void

function createServer(tls: TlsFiles | undefined, handler: NodeHandler): Server {
  const limits = {
    maxHeaderSize: 16 * 1024,
    requestTimeout: 60_000,
    headersTimeout: 20_000,
    keepAliveTimeout: 65_000,
  }
  if (!tls) return http.createServer(limits, handler)
  return https.createServer(
    { ...limits, cert: tls.certificatePem, key: tls.keyPem, minVersion: 'TLSv1.3' },
    handler,
  ) as unknown as Server
}

function dispatch(
  vault: NodeHandler,
  guard: (headers: IncomingHttpHeaders, isReturn: boolean) => AppError | undefined,
  rest: NodeHandler,
): NodeHandler {
  return (request, response) => {
    if (!request.url?.startsWith('/v1/')) return rest(request, response)
    const refusal = guard(request.headers, isReturn(request.url))
    if (!refusal) return vault(request, response)
    response.writeHead(refusal.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ errors: [refusal.detail] }))
  }
}

/** An identity provider sends people back from its own pages; what they bring is worth nothing without the state that we gave. */
const isReturn = (url: string): boolean => /^\/v1\/auth\/[^?]+\/oidc\/callback(?:\?|$)/.test(url)

function foreignGuard(loopback: boolean) {
  return (headers: IncomingHttpHeaders, isReturn: boolean): AppError | undefined => {
    try {
      refuseForeignHost(headers.host, loopback)
      if (!isReturn) refuseForeignPage(headers)
    } catch (error) {
      if (error instanceof AppError) return error
      throw error
    }
    return undefined
  }
}

function mount(
  app: FastifyInstance,
  needs: Needs,
  { secure, loopback }: { secure: boolean; loopback: boolean },
): void {
  const { log } = needs
  const headers = securityHeaders(secure)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headers)
    refuseForeignHost(request.headers.host, loopback)
  })
  const apiNeeds = { ...needs, secure }
  const routes = needs.routes(secure)
  mountApi(app, routes, apiNeeds)
  mountWebhooks(app, needs.receiveHooks)
  mountChannelHooks(app, needs.receiveFromChannel)
  app.get('/api/v1/openapi.json', async () =>
    openApiDocument(
      routes.map((route) => route.operation),
      needs.version,
    ),
  )
  mountStreams(app, { ...needs, api: apiNeeds, headers })
  app.get('/healthz', async (_, reply) => {
    const health = await needs.health()
    return reply.code(health.state === 'failing' ? 503 : 200).send(health)
  })
  app.get('/metrics', async (_, reply) => reply.type('text/plain; version=0.0.4').send(await needs.metrics()))
  app.all('/api/*', (request, reply) =>
    answerProblem(
      new AppError('request.not_found', `${request.method} ${request.url.split('?')[0]} is no operation`),
      request,
      reply,
      log,
    ),
  )
  app.get('/*', consoleHandler(needs.consoleDir))
  app.setNotFoundHandler((request, reply) =>
    answerProblem(
      new AppError('request.not_found', `${request.method} is not answered here`),
      request,
      reply,
      log,
    ),
  )
}

function listenFailure(listen: string, error: Error): AppError {
  const inUse = 'code' in error && error.code === 'EADDRINUSE'
  const what = inUse
    ? 'the port is in use. Stop what uses it, or give another with --listen'
    : reasonOf(error)
  return new AppError('server.cannot_listen', `${listen}: ${what}`)
}
