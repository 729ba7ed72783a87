// GitHub's REST API as far as its documents say and Keyward calls it: an App signs a JWT, gets tokens for its installation, and works
// with one repository. https://docs.github.com/en/rest
import { createHash, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { tarOf } from '../../src/sandbox/tar.ts'
import { cleanUp } from './clean-up.ts'

type Json = { [name: string]: unknown }
type Answer = { status: number; body?: unknown; headers?: Record<string, string>; bytes?: Buffer }
type Asked = { method: string; path: string; body: Json }
type Permission = [name: string, level: 'read' | 'write']
type Commit = { sha: string; message: string; tree: Record<string, string>; parents: string[] }
type Pull = {
  number: number
  title: string
  body: string
  state: string
  draft: boolean
  merged: boolean
  mergeable: boolean | null
  merge_commit_sha: string | null
  head: { ref: string; sha: string }
  base: { ref: string; sha: string }
}
type CheckRun = Json & {
  id: number
  name: string
  head_sha: string
  status: string
  conclusion: string | null
}

/** What happens to the next call that changes something (or any, with `any`). */
type Fault = Answer | 'hang up before' | 'hang up after'

export type GitHubServer = {
  readonly url: string
  readonly privateKeyPem: string
  readonly settings: { appId: string; installationId: string; apiUrl: string }
  readonly repository: string
  readonly commits: Map<string, Commit>
  readonly branches: Map<string, string>
  readonly pulls: Map<number, Pull>
  readonly checks: CheckRun[]
  readonly issues: { number: number; title: string; body: string }[]
  readonly comments: { id: number; number: number; body: string }[]
  /** Tokens that it takes, with what they are for. */
  readonly tokens: Map<string, { permissions: Record<string, string>; repositories: string[] }>
  /** All that it ever gave. */
  readonly given: string[]
  readonly asked: Asked[]
  /** The headers `traceparent` of its requests, where they had one. */
  readonly parents: string[]
  /** Answers the next matching call with this instead. */
  fault(matching: RegExp, fault: Fault): void
  /** What an archive holds in place of the commit's files; undefined leaves the file out. */
  readonly archived: Map<string, string | undefined>
  commit(branch: string, message: string, files?: Record<string, string>): string
  openPull(head: string, base?: string): Pull
  suspended: boolean
}

const installationId = '678'
const owner = 'team'
const repo = 'shop'

const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
/** Making one takes longer than most tests. */
const usualKey = newKey()

export async function openGitHubServer(t: TestContext): Promise<GitHubServer> {
  const { privateKey, publicKey } = usualKey
  const privateKeyPem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const trees = new Map<string, Record<string, string>>()
  const archives = new Map<string, string>()
  const faults: { matching: RegExp; fault: Fault }[] = []
  let counter = 0
  const newSha = (): string => createHash('sha1').update(`object ${++counter}`).digest('hex')

  const state: GitHubServer = {
    url: '',
    privateKeyPem,
    settings: { appId: '12', installationId, apiUrl: '' },
    repository: `${owner}/${repo}`,
    commits: new Map(),
    branches: new Map(),
    pulls: new Map(),
    checks: [],
    issues: [],
    comments: [],
    tokens: new Map(),
    given: [],
    asked: [],
    parents: [],
    archived: new Map(),
    fault: (matching, fault) => void faults.push({ matching, fault }),
    commit(branch, message, files = {}) {
      const parent = state.branches.get(branch)
      const tree = { ...(parent ? state.commits.get(parent)?.tree : {}), ...files }
      return addCommit(branch, message, tree, parent ? [parent] : [])
    },
    openPull(head, base = 'main') {
      const number = state.pulls.size + state.issues.length + 1
      const side = (ref: string) => ({ ref, sha: state.branches.get(ref) ?? '' })
      const pull: Pull = {
        number,
        title: `Change ${number}`,
        body: '',
        state: 'open',
        draft: false,
        merged: false,
        mergeable: true,
        merge_commit_sha: null,
        head: side(head),
        base: side(base),
      }
      state.pulls.set(number, pull)
      return pull
    },
    suspended: false,
  }

  function addCommit(
    branch: string,
    message: string,
    tree: Record<string, string>,
    parents: string[],
  ): string {
    const sha = newSha()
    state.commits.set(sha, { sha, message, tree, parents })
    state.branches.set(branch, sha)
    for (const pull of state.pulls.values()) if (pull.head.ref === branch && !pull.merged) pull.head.sha = sha
    return sha
  }

  function ofApp(request: IncomingMessage): boolean {
    const [header = '', claims = '', signature = ''] = bearer(request).split('.')
    const valid = verify(
      'sha256',
      Buffer.from(`${header}.${claims}`),
      publicKey,
      Buffer.from(signature, 'base64url'),
    )
    return valid && (JSON.parse(Buffer.from(claims, 'base64url').toString()) as Json)['iss'] === '12'
  }

  function appCall(request: IncomingMessage, path: string, body: Json): Answer | undefined {
    if (!path.startsWith('/app/')) return undefined
    if (!ofApp(request)) return { status: 401, body: { message: 'A JSON web token could not be decoded' } }
    if (path === `/app/installations/${installationId}`)
      return {
        status: 200,
        body: { account: { login: owner }, suspended_at: state.suspended ? 'then' : null },
      }
    if (path !== `/app/installations/${installationId}/access_tokens`) return notFound
    const token = `ghs_${randomBytes(18).toString('hex')}`
    const { permissions = {}, repositories = [] } = body as never
    state.tokens.set(token, { permissions, repositories })
    state.given.push(token)
    const expires_at = new Date(Date.now() + 3_600_000).toISOString()
    return { status: 201, body: { token, expires_at, permissions } }
  }

  type Call = { query: URLSearchParams; body: Json; parts: string[] }
  type Endpoint = { route: RegExp; needs: Permission; answer: (call: Call) => Answer }

  const pullView = (pull: Pull): Json => ({
    ...pull,
    html_url: `https://github.test/${owner}/${repo}/pull/${pull.number}`,
    user: { login: 'ada' },
  })
  const commitView = ({ sha, message, parents }: Commit): Json => ({
    sha,
    message,
    tree: { sha: treeOf(sha) },
    parents: parents.map((parent) => ({ sha: parent })),
  })
  function treeOf(commit: string): string {
    const sha = createHash('sha1').update(`tree of ${commit}`).digest('hex')
    trees.set(sha, state.commits.get(commit)?.tree ?? {})
    return sha
  }
  const resolve = (ref: string): string => state.branches.get(ref) ?? ref
  const paged = <T>(items: T[], query: URLSearchParams): T[] => {
    const size = Number(query.get('per_page') ?? 30)
    const page = Number(query.get('page') ?? 1)
    return items.slice((page - 1) * size, page * size)
  }
  const refView = (branch: string): Json => ({
    ref: `refs/heads/${branch}`,
    object: { type: 'commit', sha: state.branches.get(branch) },
  })

  const endpoints: Endpoint[] = [
    {
      route: /^GET pulls$/,
      needs: ['pull_requests', 'read'],
      answer: ({ query }) => ({
        status: 200,
        body: [...state.pulls.values()]
          .filter(
            ({ head, base }) =>
              `${owner}:${head.ref}` === query.get('head') && base.ref === query.get('base'),
          )
          .map(pullView),
      }),
    },
    {
      route: /^POST pulls$/,
      needs: ['pull_requests', 'write'],
      answer({ body }) {
        const twin = [...state.pulls.values()].find(
          ({ head, state: s }) => head.ref === body['head'] && s === 'open',
        )
        if (twin) return refusal('Validation Failed', [{ message: 'A pull request already exists' }])
        if (!state.branches.has(String(body['head']))) return refusal('Validation Failed')
        const pull = state.openPull(String(body['head']), String(body['base']))
        Object.assign(pull, { title: body['title'], body: body['body'], draft: body['draft'] })
        return { status: 201, body: pullView(pull) }
      },
    },
    {
      route: /^GET pulls\/(\d+)$/,
      needs: ['pull_requests', 'read'],
      answer({ parts: [number] }) {
        const pull = state.pulls.get(Number(number))
        return pull ? { status: 200, body: pullView(pull) } : notFound
      },
    },
    {
      route: /^GET pulls\/(\d+)\/files$/,
      needs: ['pull_requests', 'read'],
      answer({ parts: [number], query }) {
        const pull = state.pulls.get(Number(number))
        const tree = state.commits.get(pull?.head.sha ?? '')?.tree ?? {}
        const base = state.commits.get(pull?.base.sha ?? '')?.tree ?? {}
        const changed = Object.keys(tree).filter((path) => tree[path] !== base[path])
        const views = changed.map((filename) => ({
          filename,
          status: filename in base ? 'modified' : 'added',
          additions: 1,
          deletions: 0,
        }))
        return { status: 200, body: paged(views, query) }
      },
    },
    {
      route: /^PUT pulls\/(\d+)\/merge$/,
      needs: ['contents', 'write'],
      answer({ parts: [number], body }) {
        const pull = state.pulls.get(Number(number))
        if (!pull) return notFound
        if (pull.merged || pull.state !== 'open' || pull.mergeable === false)
          return { status: 405, body: { message: 'Pull Request is not mergeable' } }
        if (body['sha'] !== pull.head.sha)
          return {
            status: 409,
            body: { message: 'Head branch was modified. Review and try the merge again.' },
          }
        const sha = addCommit(
          pull.base.ref,
          `Merge #${number}`,
          state.commits.get(pull.head.sha)?.tree ?? {},
          [pull.base.sha, pull.head.sha],
        )
        Object.assign(pull, { merged: true, state: 'closed', merge_commit_sha: sha, mergeable: null })
        return { status: 200, body: { sha, merged: true, message: 'Pull Request successfully merged' } }
      },
    },
    {
      route: /^GET commits$/,
      needs: ['contents', 'read'],
      answer({ query }) {
        const found: Commit[] = []
        for (let sha: string | undefined = resolve(query.get('sha') ?? 'main'); sha; ) {
          const commit = state.commits.get(sha)
          if (!commit) break
          found.push(commit)
          sha = commit.parents[0]
        }
        return {
          status: 200,
          body: paged(
            found.map(({ sha, message }) => ({ sha, commit: { message } })),
            query,
          ),
        }
      },
    },
    {
      route: /^GET commits\/(.+)\/check-runs$/,
      needs: ['checks', 'read'],
      answer({ parts: [ref = ''], query }) {
        const name = query.get('check_name')
        const found = state.checks.filter(
          (check) => check.head_sha === resolve(ref) && (name === null || check.name === name),
        )
        return { status: 200, body: { total_count: found.length, check_runs: paged(found, query) } }
      },
    },
    {
      route: /^POST check-runs$/,
      needs: ['checks', 'write'],
      answer({ body }) {
        const id = state.checks.length + 1
        const check = { id, conclusion: null, html_url: null, ...body } as unknown as CheckRun
        state.checks.push(check)
        return { status: 201, body: check }
      },
    },
    {
      route: /^PATCH check-runs\/(\d+)$/,
      needs: ['checks', 'write'],
      answer({ parts: [id], body }) {
        const check = state.checks.find((one) => one.id === Number(id))
        return check ? { status: 200, body: Object.assign(check, body) } : notFound
      },
    },
    {
      route: /^GET contents\/(.+)$/,
      needs: ['contents', 'read'],
      answer({ parts: [path = ''], query }) {
        const commit = state.commits.get(resolve(query.get('ref') ?? 'main'))
        const found = commit?.tree[decodeURIComponent(path)]
        if (found === undefined) return notFound
        const content = Buffer.from(found).toString('base64')
        const sha = createHash('sha1').update(found).digest('hex')
        const body = { type: 'file', sha, size: found.length, encoding: 'base64', content }
        return { status: 200, body }
      },
    },
    {
      route: /^GET git\/matching-refs\/heads\/(.+)$/,
      needs: ['contents', 'read'],
      answer: ({ parts: [prefix = ''] }) => ({
        status: 200,
        body: [...state.branches.keys()].filter((branch) => branch.startsWith(prefix)).map(refView),
      }),
    },
    {
      route: /^POST git\/refs$/,
      needs: ['contents', 'write'],
      answer({ body }) {
        const branch = String(body['ref']).replace('refs/heads/', '')
        if (state.branches.has(branch)) return refusal('Reference already exists')
        if (!state.commits.has(String(body['sha']))) return refusal('Object does not exist')
        state.branches.set(branch, String(body['sha']))
        return { status: 201, body: refView(branch) }
      },
    },
    {
      route: /^PATCH git\/refs\/heads\/(.+)$/,
      needs: ['contents', 'write'],
      answer({ parts: [branch = ''], body }) {
        const commit = state.commits.get(String(body['sha']))
        const head = state.branches.get(branch) ?? ''
        if (!commit || (!commit.parents.includes(head) && body['force'] !== true))
          return refusal('Update is not a fast forward')
        state.branches.set(branch, commit.sha)
        return { status: 200, body: refView(branch) }
      },
    },
    {
      route: /^GET git\/commits\/(\w+)$/,
      needs: ['contents', 'read'],
      answer({ parts: [sha = ''] }) {
        const commit = state.commits.get(sha)
        return commit ? { status: 200, body: commitView(commit) } : notFound
      },
    },
    {
      route: /^GET git\/trees\/(\w+)$/,
      needs: ['contents', 'read'],
      answer({ parts: [sha = ''] }) {
        const commit = state.commits.get(sha)
        if (!commit) return notFound
        return { status: 200, body: { sha: treeOf(sha), truncated: false, tree: entriesOf(commit.tree) } }
      },
    },
    {
      route: /^GET git\/blobs\/(\w+)$/,
      needs: ['contents', 'read'],
      answer({ parts: [sha = ''] }) {
        const all = [...state.commits.values()].flatMap(({ tree }) => Object.values(tree))
        const found = all.find((one) => blobSha(one) === sha)
        if (found === undefined) return notFound
        const content = Buffer.from(found).toString('base64')
        return { status: 200, body: { sha, size: found.length, encoding: 'base64', content } }
      },
    },
    {
      route: /^GET tarball\/(\w+)$/,
      needs: ['contents', 'read'],
      answer({ parts: [sha = ''] }) {
        if (!state.commits.has(sha)) return notFound
        const key = randomBytes(12).toString('hex')
        archives.set(key, sha)
        return { status: 302, headers: { location: `${state.url}/archives/${key}` } }
      },
    },
    {
      route: /^POST git\/trees$/,
      needs: ['contents', 'write'],
      answer({ body }) {
        const sha = newSha()
        const tree = { ...trees.get(String(body['base_tree'])) }
        for (const { path, content, sha: blob } of body['tree'] as {
          path: string
          content?: string
          sha?: null
        }[])
          if (blob === null) delete tree[path]
          else tree[path] = content ?? ''
        trees.set(sha, tree)
        return { status: 201, body: { sha } }
      },
    },
    {
      route: /^POST git\/commits$/,
      needs: ['contents', 'write'],
      answer({ body }) {
        const commit: Commit = {
          sha: newSha(),
          message: String(body['message']),
          tree: trees.get(String(body['tree'])) ?? {},
          parents: body['parents'] as string[],
        }
        state.commits.set(commit.sha, commit)
        return { status: 201, body: commitView(commit) }
      },
    },
    {
      route: /^GET issues$/,
      needs: ['issues', 'read'],
      answer: ({ query }) => ({ status: 200, body: paged(state.issues.map(issueView).reverse(), query) }),
    },
    {
      route: /^POST issues$/,
      needs: ['issues', 'write'],
      answer({ body }) {
        const number = state.pulls.size + state.issues.length + 1
        const issue = { number, title: String(body['title']), body: String(body['body']) }
        state.issues.push(issue)
        return { status: 201, body: issueView(issue) }
      },
    },
    {
      route: /^GET issues\/(\d+)\/comments$/,
      needs: ['issues', 'read'],
      answer: ({ parts: [number], query }) => ({
        status: 200,
        body: paged(state.comments.filter((one) => one.number === Number(number)).map(commentView), query),
      }),
    },
    {
      route: /^POST issues\/(\d+)\/comments$/,
      needs: ['issues', 'write'],
      answer({ parts: [number], body }) {
        const comment = { id: state.comments.length + 1, number: Number(number), body: String(body['body']) }
        state.comments.push(comment)
        return { status: 201, body: commentView(comment) }
      },
    },
  ]

  /** Once, to whoever has the address: a token shown there is one that went where it should not. */
  function archiveAt(request: IncomingMessage, path: string): Answer | undefined {
    if (!path.startsWith('/archives/')) return undefined
    const key = path.slice('/archives/'.length)
    const sha = archives.get(key)
    if (sha === undefined || request.headers.authorization !== undefined) return notFound
    archives.delete(key)
    const folder = `${owner}-${repo}-${sha.slice(0, 7)}`
    const files = Object.entries({ ...state.commits.get(sha)?.tree, ...Object.fromEntries(state.archived) })
    const entries = files.flatMap(([name, content]) =>
      content === undefined
        ? []
        : [{ kind: 'file' as const, path: `${folder}/${name}`, mode: 0o644, content: Buffer.from(content) }],
    )
    return { status: 200, bytes: gzipSync(tarOf(entries)) }
  }

  function answerTo(request: IncomingMessage, url: URL, body: Json): Answer {
    const { method = 'GET' } = request
    const path = url.pathname
    const archive = archiveAt(request, path)
    if (archive) return archive
    const ofTheApp = appCall(request, path, body)
    if (ofTheApp) return ofTheApp
    const token = state.tokens.get(bearer(request))
    if (!token) return { status: 401, body: { message: 'Bad credentials' } }
    if (path === '/installation/token' && method === 'DELETE') {
      state.tokens.delete(bearer(request))
      return { status: 204 }
    }
    const below = `/repos/${owner}/${repo}/`
    if (!path.startsWith(below) || !token.repositories.includes(repo)) return notFound
    return answerOf(`${method} ${path.slice(below.length)}`, token.permissions, url.searchParams, body)
  }

  function answerOf(
    call: string,
    permissions: Record<string, string>,
    query: URLSearchParams,
    body: Json,
  ): Answer {
    const endpoint = endpoints.find(({ route }) => route.test(call))
    if (!endpoint) return notFound
    const [name, level] = endpoint.needs
    const has = permissions[name]
    if (has !== 'write' && has !== level)
      return { status: 403, body: { message: 'Resource not accessible by integration' } }
    return endpoint.answer({
      query,
      body,
      parts: endpoint.route.exec(call)?.slice(1) ?? [],
    })
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://github.test')
    const raw = await text(request)
    const body = raw === '' ? {} : (JSON.parse(raw) as Json)
    const line = `${request.method} ${url.pathname}`
    state.asked.push({ method: request.method ?? '', path: url.pathname, body })
    const at = faults.findIndex(({ matching }) => matching.test(line))
    const fault = at < 0 ? undefined : faults.splice(at, 1)[0]?.fault
    if (fault === 'hang up before') return void request.socket.destroy()
    const answer = typeof fault === 'object' ? fault : answerTo(request, url, body)
    if (fault === 'hang up after') return void request.socket.destroy()
    response.writeHead(answer.status, {
      'content-type': 'application/json; charset=utf-8',
      ...answer.headers,
    })
    response.end(answer.bytes ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)))
  }

  const server = createServer((request, response) => {
    state.parents.push(...[request.headers['traceparent'] ?? []].flat())
    void handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  state.commit('main', 'begin', { 'README.md': 'A shop' })
  const opened = { url, settings: { ...state.settings, apiUrl: url } }
  return Object.assign(state, opened)
}

/** The key of another App. */
export const strangeKeyPem = (): string =>
  newKey().privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()

const bearer = (request: IncomingMessage): string =>
  (request.headers.authorization ?? '').replace('Bearer ', '')
const notFound: Answer = { status: 404, body: { message: 'Not Found' } }
const refusal = (message: string, errors: unknown[] = []): Answer => ({
  status: 422,
  body: { message, errors },
})
const blobSha = (text: string): string =>
  createHash('sha1')
    .update(`blob ${Buffer.byteLength(text)}\0${text}`)
    .digest('hex')
/** A name that ends in `.sh` is a program, one in `.link` a symbolic link. */
const modeOf = (path: string): string =>
  path.endsWith('.link') ? '120000' : path.endsWith('.sh') ? '100755' : '100644'
const entriesOf = (tree: Record<string, string>): Json[] =>
  Object.entries(tree).map(([path, text]) => ({
    path,
    mode: modeOf(path),
    type: 'blob',
    sha: blobSha(text),
    size: Buffer.byteLength(text),
  }))
const issueView = (issue: { number: number }): Json => ({
  ...issue,
  html_url: `https://github.test/${owner}/${repo}/issues/${issue.number}`,
})
const commentView = (comment: { id: number }): Json => ({
  ...comment,
  html_url: `https://github.test/comments/${comment.id}`,
})
