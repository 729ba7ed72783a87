import { z } from 'zod'
import { AppError } from '../core/index.ts'
import {
  contentDigest,
  type Delivery,
  deliveryIdOf,
  headerOf,
  isSame,
  isSignedByGitHub,
  jsonOf,
} from '../hooks/index.ts'
import type { Provider } from './schedules-store.ts'

export type Push = { readonly id: string; readonly digest: string; readonly isPush: boolean }

const refused = (why: string): AppError => new AppError('push.refused', why)

/** Why it is not believed who sent it; undefined when it is. */
export const whyUnsigned = (
  { provider, secret }: { provider: Provider; secret: Buffer },
  delivery: Delivery,
): string | undefined => providers[provider].whyUnsigned(delivery, secret)

/**
 * Whether a signed delivery is a push to the repository that is listened to. Nothing else of the body is read: no address, no
 * command. Throws `push.refused`.
 */
export function readPush(
  { provider, repository }: { provider: Provider; repository: string },
  delivery: Delivery,
): Push {
  const from = providers[provider]
  const id = deliveryIdOf(from.idOf(delivery))
  if (id === undefined) throw refused('it has no delivery id')
  const digest = contentDigest(provider, delivery)
  if (!from.isPush(delivery)) return { id, digest, isPush: false }
  const body = jsonOf(delivery)
  if (body === undefined) throw refused('its body is no JSON: choose application/json as its content type')
  // Providers do not tell names apart by the case of their letters.
  if (from.repositoryOf(body)?.toLowerCase() !== repository.toLowerCase())
    throw refused('it is about another repository')
  return { id, digest, isPush: true }
}

const github = {
  whyUnsigned: (delivery: Delivery, secret: Buffer): string | undefined =>
    isSignedByGitHub(delivery, secret) ? undefined : 'its signature is missing or wrong',
  idOf: (delivery: Delivery): string => headerOf(delivery, 'x-github-delivery'),
  isPush: (delivery: Delivery): boolean => headerOf(delivery, 'x-github-event') === 'push',
  repositoryOf: (body: unknown): string | undefined =>
    z.object({ repository: z.object({ full_name: z.string() }) }).safeParse(body).data?.repository.full_name,
}

const gitlab = {
  // https://docs.gitlab.com/user/project/integrations/webhooks/
  whyUnsigned: (delivery: Delivery, secret: Buffer): string | undefined =>
    isSame(headerOf(delivery, 'x-gitlab-token'), secret.toString())
      ? undefined
      : 'its token is missing or wrong',
  // GitLab before 17.4 names the event alone.
  idOf: (delivery: Delivery): string =>
    headerOf(delivery, 'idempotency-key') || headerOf(delivery, 'x-gitlab-event-uuid'),
  isPush: (delivery: Delivery): boolean =>
    ['Push Hook', 'Tag Push Hook'].includes(headerOf(delivery, 'x-gitlab-event')),
  repositoryOf: (body: unknown): string | undefined =>
    z.object({ project: z.object({ path_with_namespace: z.string() }) }).safeParse(body).data?.project
      .path_with_namespace,
}

const providers = { github, gitlab } as const
