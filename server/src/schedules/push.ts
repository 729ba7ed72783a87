import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Provider } from './schedules-store.ts'

/** What a provider sends, before anything of it is believed. Names of headers are in small letters. */
export type Delivery = {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

export type Push = { readonly id: string; readonly digest: string; readonly isPush: boolean }

const refused = (why: string): AppError => new AppError('push.refused', why)

/**
 * Who sent it, and whether it is a push to the repository that is listened to. Nothing else of the body is read: no address, no
 * command. Throws `push.refused`.
 */
export function readPush(
  { provider, repository, secret }: { provider: Provider; repository: string; secret: Buffer },
  delivery: Delivery,
): Push {
  const header = (name: string): string => {
    const value = delivery.headers[name]
    return typeof value === 'string' ? value : ''
  }
  const from = provider === 'github' ? github : gitlab
  from.assertSigned(header, delivery.body, secret)
  const id = from.idOf(header)
  if (!/^[\w.:=+/-]{8,200}$/.test(id)) throw refused('it has no delivery id')
  const digest = createHash('sha256').update(`${provider}\0`).update(delivery.body).digest('hex')
  if (!from.isPush(header)) return { id, digest, isPush: false }
  const told = from.repositoryOf(bodyOf(delivery.body))
  // Providers do not tell names apart by the case of their letters.
  if (told?.toLowerCase() !== repository.toLowerCase()) throw refused('it is about another repository')
  return { id, digest, isPush: true }
}

type Header = (name: string) => string

const github = {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  assertSigned(header: Header, body: Buffer, secret: Buffer): void {
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
    if (!isSame(header('x-hub-signature-256'), signature)) throw refused('its signature is missing or wrong')
  },
  idOf: (header: Header): string => header('x-github-delivery'),
  isPush: (header: Header): boolean => header('x-github-event') === 'push',
  repositoryOf: (body: unknown): string | undefined =>
    z.object({ repository: z.object({ full_name: z.string() }) }).safeParse(body).data?.repository.full_name,
}

const gitlab = {
  // https://docs.gitlab.com/user/project/integrations/webhooks/
  assertSigned(header: Header, _: Buffer, secret: Buffer): void {
    if (!isSame(header('x-gitlab-token'), secret.toString())) throw refused('its token is missing or wrong')
  },
  // GitLab before 17.4 names the event alone.
  idOf: (header: Header): string => header('idempotency-key') || header('x-gitlab-event-uuid'),
  isPush: (header: Header): boolean => ['Push Hook', 'Tag Push Hook'].includes(header('x-gitlab-event')),
  repositoryOf: (body: unknown): string | undefined =>
    z.object({ project: z.object({ path_with_namespace: z.string() }) }).safeParse(body).data?.project
      .path_with_namespace,
}

function bodyOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw refused('its body is no JSON: choose application/json as its content type')
  }
}

/** In a time that tells nothing of the secret, not even its length. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
