// What GitHub sends of its own accord, as it documents it: https://docs.github.com/en/webhooks/webhook-events-and-payloads
import { createHmac } from 'node:crypto'

type Content = { readonly [name: string]: unknown }
export type SignedDelivery = { readonly headers: Record<string, string>; readonly body: Buffer }

export const repository = 'team/shop'
export const installationId = '678'
export const headOf = (letter: string): string => letter.repeat(40)

const about = (action: string | undefined, more: Content = {}): Content => ({
  ...(action === undefined ? {} : { action }),
  repository: { full_name: repository },
  installation: { id: Number(installationId) },
  sender: { login: 'octo-cat' },
  ...more,
})

const at = '2026-01-01T00:00:00Z'
const side = (ref: string, sha: string, from: string | null) => ({
  ref,
  sha,
  repo: from === null ? null : { full_name: from },
})

export const events = {
  pullRequest: (
    {
      action = 'opened',
      number = 7,
      head = headOf('a'),
      from = repository,
      base = 'main',
    }: {
      action?: string
      number?: number
      head?: string
      from?: string | null
      base?: string
    } = {},
    more: Content = {},
  ): Content =>
    about(action, {
      number,
      pull_request: {
        updated_at: at,
        title: 'Sell more {number}',
        labels: [{ name: 'deploy' }],
        head: side('feature', head, from),
        base: side(base, headOf('b'), repository),
      },
      ...more,
    }),
  push: (ref = 'refs/heads/main', more: Content = {}): Content =>
    about(undefined, {
      ref,
      after: headOf('c'),
      deleted: false,
      repository: { full_name: repository, pushed_at: Date.parse(at) / 1000 },
      ...more,
    }),
  issue: (label = 'bug'): Content =>
    about('labeled', { issue: { number: 3, updated_at: at, labels: [{ name: label }] } }),
  release: (tag = 'v1.2'): Content =>
    about('published', { release: { tag_name: tag, target_commitish: 'main' } }),
  checkSuite: (branch: string | null = 'main'): Content =>
    about('completed', {
      check_suite: { head_sha: headOf('a'), head_branch: branch, conclusion: 'success', updated_at: at },
    }),
  checkRun: (sha = headOf('a'), action = 'completed'): Content =>
    about(action, { check_run: { head_sha: sha, check_suite: { head_branch: 'feature' } } }),
  status: (sha = headOf('a')): Content =>
    about(undefined, { sha, state: 'success', branches: [{ name: 'feature' }] }),
  ping: (): Content => ({ zen: 'Keep it logically awesome.', hook_id: 1, hook: {} }),
}

let count = 0

/** Signed with the secret, and with an id of its own unless it is given one. */
export function signed(
  secret: string,
  event: string,
  content: Content | Buffer,
  headers: Record<string, string> = {},
): SignedDelivery {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-github-delivery': `delivery-${++count}`,
      'x-hub-signature-256': signature,
      ...headers,
    },
  }
}
