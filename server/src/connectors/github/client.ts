import { createHash } from 'node:crypto'
import { z } from 'zod'
import { AppError, type Secret } from '../../core/index.ts'
import type { ActionContext } from '../connector.ts'
import { failureOf } from './failures.ts'

const loopback = /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)(?::\d+)?(?:\/|$)/

export const repositoryName = z
  .string()
  .max(140)
  .regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, 'write it as owner/name')

export const gitHubSettings = z.strictObject({
  /** App id or client id. */
  appId: z.string().regex(/^[A-Za-z0-9.]{1,60}$/),
  installationId: z.string().regex(/^[1-9]\d{0,15}$/, 'a number'),
  /** `https://HOST/api/v3` for GitHub Enterprise Server. */
  apiUrl: z
    .string()
    .max(300)
    .refine(
      (url) => URL.canParse(url) && (url.startsWith('https://') || loopback.test(url)),
      'an https address',
    )
    .default('https://api.github.com'),
  /** The only ones that runs may work with; all of the installation when absent. */
  repositories: z.array(repositoryName).min(1).max(500).optional(),
})

/** The field of a connection's secret. */
export const privateKeyField = 'private_key'

export const headSha = z.string().regex(/^[0-9a-f]{40}$/, 'a whole commit id')
/** https://git-scm.com/docs/git-check-ref-format , without what has to be escaped in an address. */
export const refName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^(?![./])(?!.*(?:\.\.|\/\/|\/\.|\.lock(?:\/|$)))[\w./-]+(?<![./])$/, 'no name of a branch')

type Permissions = Readonly<Record<string, 'read' | 'write'>>
type Parameters = Readonly<Record<string, unknown>>

/** GitHub as one task sees it: one repository, with no more permissions than its action names. */
export type GitHub = {
  /** `GET /repos/{owner}/{repo}/pulls/{pull_number}` with its parameters; what is used of the answer has a schema. */
  call<T>(route: string, parameters: Parameters, answer: z.ZodType<T>): Promise<T>
  /** The items of several pages; `cut` when there are more than `most`. */
  pages<T>(
    route: string,
    parameters: Parameters,
    answer: z.ZodType<readonly T[]>,
    most: number,
  ): Promise<{ items: T[]; cut: boolean }>
  /**
   * Where GitHub says that the answer lies: an address of its own, good for minutes, which may hold what opens it. It is never shown,
   * and the token does not go there.
   */
  elsewhere(route: string, parameters: Parameters): Promise<string>
  readonly owner: string
  readonly repo: string
}

/** Archives lie at `codeload.` of the same service; a GitHub of one's own may have them below its own name. */
function isOfService(apiUrl: string, location: string): boolean {
  if (!URL.canParse(location)) return false
  const [api, there] = [new URL(apiUrl), new URL(location)]
  const isSafe = there.protocol === 'https:' || loopback.test(location)
  const domain = api.host.replace(/^api\./, '')
  return isSafe && [api.host, domain, `codeload.${domain}`].includes(there.host)
}

/** Tokens live for an hour; a task that takes longer asks for another in time. */
const renewAfterMilliseconds = 45 * 60_000
const patienceMilliseconds = 30_000
const pageSize = 100

/** `contents:write` and the like, as GitHub's API takes them. */
export const permissionsOf = (names: readonly string[]): Permissions =>
  Object.fromEntries(names.map((name) => name.split(':') as [string, 'read' | 'write']))

export function openGitHub(context: ActionContext, repository: string, permissions: Permissions): GitHub {
  const settings = gitHubSettings.parse(context.settings)
  const [owner = '', repo = ''] = repository.split('/')
  const allowed = settings.repositories
  if (allowed && !allowed.some((name) => name.toLowerCase() === repository.toLowerCase()))
    throw new AppError('connector.refused', `the connection ${context.name} is not for ${repository}`)
  let kept: { token: Secret; mintedAt: number } | undefined

  async function token(): Promise<Secret> {
    const now = context.now().getTime()
    if (kept && now - kept.mintedAt < renewAfterMilliseconds) return kept.token
    const { appId, installationId, apiUrl } = settings
    const fresh = await context.mint(privateKeyField, {
      kind: 'github-app',
      appId,
      installationId: Number(installationId),
      apiUrl,
      repositories: [repo],
      permissions,
    })
    kept = { token: fresh, mintedAt: now }
    return fresh
  }

  async function send(route: string, parameters: Parameters) {
    // Loaded by who calls GitHub first.
    const { request } = await import('@octokit/request')
    const bearer = await token()
    context.signal.throwIfAborted()
    try {
      return await request(route, {
        baseUrl: settings.apiUrl.replace(/\/+$/, ''),
        owner,
        repo,
        ...parameters,
        headers: {
          authorization: `Bearer ${bearer.reveal()}`,
          accept: 'application/vnd.github+json',
          'user-agent': 'keyward',
          'x-github-api-version': '2022-11-28',
          ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
        },
        request: {
          // Where a repository went to is another repository: the token and the approval are not for it.
          redirect: 'manual',
          signal: AbortSignal.any([context.signal, AbortSignal.timeout(patienceMilliseconds)]),
        },
      })
    } catch (error) {
      context.signal.throwIfAborted()
      throw failureOf(error, { changes: !route.startsWith('GET '), now: context.now() })
    }
  }

  async function call<T>(route: string, parameters: Parameters, answer: z.ZodType<T>): Promise<T> {
    const { data, status } = await send(route, parameters)
    if (status >= 300) throw new AppError('connector.refused', `${repository} has moved`)
    const parsed = answer.safeParse(data)
    if (parsed.success) return parsed.data
    const place = parsed.error.issues[0]?.path.join('.') ?? ''
    const code = route.startsWith('GET ') ? 'connector.unavailable' : 'connector.ambiguous'
    throw new AppError(code, `GitHub answered ${route} with something else than it documents, at '${place}'`)
  }

  return {
    owner,
    repo,
    call,
    async elsewhere(route, parameters) {
      const { headers, status } = await send(route, parameters)
      const { location } = headers
      if (status !== 302 || location === undefined || !isOfService(settings.apiUrl, location))
        throw new AppError('connector.refused', `${repository} has moved`)
      return location
    },
    async pages<T>(route: string, parameters: Parameters, answer: z.ZodType<readonly T[]>, most: number) {
      const items: T[] = []
      for (let page = 1; items.length <= most; page++) {
        const more = await call(route, { ...parameters, per_page: pageSize, page }, answer)
        items.push(...more)
        if (more.length < pageSize) return { items: items.slice(0, most), cut: items.length > most }
      }
      return { items: items.slice(0, most), cut: true }
    },
  }
}

/** Stands where nobody sees it in what a task makes at GitHub, so that a later attempt finds it. */
export const markOf = ({ idempotencyKey }: Pick<ActionContext, 'idempotencyKey'>): string =>
  `keyward-${createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 32)}`

export const hiddenMark = (context: Pick<ActionContext, 'idempotencyKey'>): string =>
  `<!-- ${markOf(context)} -->`
