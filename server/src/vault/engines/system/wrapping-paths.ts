import { AppError, Secret } from '../../../core/index.ts'
import type { Answer, OpenCall, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { invalidWrappingToken, type Wrapping } from '../../wrapping.ts'

/** `sys/wrapping/`: what a wrapping token is for, and how to wrap something of one's own. */
export function wrappingPaths(wrapping: Wrapping): PathSpec[] {
  return [
    {
      pattern: 'wrapping/wrap',
      async post({ wrapSeconds, body }) {
        if (wrapSeconds === undefined)
          throw new AppError('request.invalid', 'endpoint requires response wrapping to be used')
        return { data: body }
      },
    },
    {
      pattern: 'wrapping/lookup',
      opens: ['read', 'update'],
      open: async (call) => async (tx) => {
        const { record } = await wrapping.find(meantToken(call), tx)
        return {
          data: {
            creation_time: new Date(record.createdAt).toISOString(),
            creation_ttl: record.creationTtlSeconds,
            creation_path: record.path,
          },
          note: { token: record.id },
        }
      },
    },
    {
      pattern: 'wrapping/unwrap',
      tokenRefusal: invalidWrappingToken,
      async update(tx, call): Promise<Answer> {
        const token = await wrapping.find(meantToken(call), tx)
        const whole = await wrapping.unwrap(tx, token)
        return { whole, note: { token: token.record.id, creationPath: token.record.path } }
      },
    },
    {
      pattern: 'wrapping/rewrap',
      tokenRefusal: invalidWrappingToken,
      async update(tx, call): Promise<Answer> {
        const token = await wrapping.find(meantToken(call), tx)
        const answer = await wrapping.unwrap(tx, token)
        return wrapping.wrap(tx, {
          answer,
          ttlSeconds: token.record.creationTtlSeconds,
          creationPath: token.record.path,
          wrappedAccessor: token.record.metadata?.['wrapped_accessor'],
        })
      },
    },
  ]
}

/** The one in the body, else the one that makes the request. */
function meantToken({ body, presented }: OpenCall): Secret | undefined {
  const named = textField(body, 'token')
  return named ? new Secret(named) : presented
}
