import type { Json, RunDetail } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Action, PreviewContext } from '../workflow/index.ts'

type ActionNeeds = {
  read: (runId: string) => Promise<Pick<RunDetail, 'title' | 'tasks'>>
  /** Actions of connected services. */
  services: readonly Pick<Action, 'name' | 'preview'>[]
}

const summary = z.strictObject({ text: z.string() })

export function deployActions({ read, services }: ActionNeeds): Action[] {
  /** As the merge itself will ask. Throws `connector.refused` once the pull request is another one than was tested. */
  async function assertMergeable(args: Json, about: PreviewContext): Promise<void> {
    const { pullRequest, headSha } = Object(args)
    const { title: _, ...pull } = Object(pullRequest)
    // Questions of before do not name it.
    if (pull.connection === undefined) return
    const merge = services.find(({ name }) => name === 'github.merge-pull-request')
    await merge?.preview?.({ ...pull, headSha }, about)
  }

  return [
    {
      name: 'deploy.approve',
      idempotent: true,
      // By now they are what was fetched and previewed: what is merged and made takes the same, and refuses another world.
      async preview(args, about) {
        await assertMergeable(args, about)
        return withOneHead(args)
      },
      async execute({ args }) {
        withOneHead(args)
        return { output: { approved: true } }
      },
    },
    {
      name: 'deploy.summary',
      idempotent: true,
      effect: 'read',
      output: summary,
      execute: async ({ runId }) => ({ output: { text: summaryOf(await read(runId)) } }),
    },
  ]
}

/** A preview of code is of the very head that is merged. Throws `connector.refused`. */
function withOneHead(args: Json): Json {
  const { headSha, preview } = Object(args)
  const { sha } = Object(preview)
  if (typeof sha === 'string' && sha !== headSha)
    throw new AppError('connector.refused', `the preview is of ${sha}, not of the head that would be merged`)
  return args
}

const longestText = 2000

function summaryOf({ title, tasks }: Pick<RunDetail, 'title' | 'tasks'>): string {
  const states = new Map(tasks.map(({ id, state }) => [id, state]))
  const wrong = tasks.filter(({ state }) => state === 'Failed' || state === 'Cancelled')
  const words = [
    ...wrong.map(({ id, state, reason }) => `${id} ${state.toLowerCase()}${reason ? `: ${reason}` : ''}`),
    states.get('merge') === 'Succeeded' ? 'merged' : 'not merged',
    states.get('up') === 'Succeeded' ? 'deployed' : 'not deployed',
    ...(states.get('monitor') === 'Succeeded' ? ['well since'] : []),
    ...(states.get('rollback') === 'Succeeded' ? ['rolled back'] : []),
  ]
  return `${title}: ${words.join('; ')}`.slice(0, longestText)
}
