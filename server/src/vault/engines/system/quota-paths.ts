import { AppError } from '../../../core/index.ts'
import type { Body, PathSpec } from '../../engine.ts'
import { booleanField, durationField, listField, textField } from '../../fields.ts'
import type { Mounts } from '../../mounts.ts'
import type { RateLimit, RateLimits } from '../../rate-limits/rate-limits.ts'

/** `sys/quotas`: how often requests may come. How many leases a role may have is a setting of the role. */
export function quotaPaths(limits: RateLimits, mounts: Pick<Mounts, 'of'>): PathSpec[] {
  const named = (name: string | undefined): RateLimit | undefined =>
    limits.all().find((limit) => limit.name === name)
  return [
    {
      pattern: 'quotas/config',
      read: async () => ({
        data: {
          enable_rate_limit_audit_logging: false,
          enable_rate_limit_response_headers: false,
          rate_limit_exempt_paths: limits.exempt(),
        },
      }),
      async update(tx, { body }) {
        for (const name of ['enable_rate_limit_audit_logging', 'enable_rate_limit_response_headers'])
          if (booleanField(body, name)) throw invalid(`"${name}" is not supported by this server`)
        await limits.setExempt(tx, (listField(body, 'rate_limit_exempt_paths') ?? []).map(bare))
        return {}
      },
    },
    {
      pattern: 'quotas/rate-limit',
      async list() {
        const keys = limits.all().map(({ name }) => name)
        return keys.length > 0 ? { data: { keys: keys.sort() } } : undefined
      },
    },
    {
      pattern: 'quotas/rate-limit/{name}',
      async read({ params }) {
        const limit = named(params['name'])
        return limit && { data: limitView(limit) }
      },
      async update(tx, { params, body }) {
        const limit = limitFrom(params['name'] ?? '', body)
        if (limit.path !== '' && !mounts.of(limit.path.replace(/\*$/, '')))
          throw invalid(`invalid mount path or role: ${limit.path}`)
        const same = limits.all().find(({ path, name }) => path === limit.path && name !== limit.name)
        if (same) throw invalid(`quota rule with similar properties exists under the name "${same.name}"`)
        await limits.save(tx, limit)
        return { note: { rate: limit.rate, path: limit.path } }
      },
      async delete(tx, { params }) {
        await limits.remove(tx, params['name'] ?? '')
        return {}
      },
    },
  ]
}

function limitFrom(name: string, body: Body): RateLimit {
  const rate = Number(textField(body, 'rate') ?? '0')
  if (!(rate > 0)) throw invalid("'rate' is invalid: a number greater than 0 is wanted")
  if (textField(body, 'role'))
    throw invalid('a limit for a role is not supported by this server: name a path')
  const groupBy = textField(body, 'group_by') || 'ip'
  if (groupBy !== 'ip' && groupBy !== 'none')
    throw invalid(`invalid group_by "${groupBy}": this server has "ip" and "none"`)
  const intervalSeconds = durationField(body, 'interval') || 1
  return {
    name,
    path: bare(textField(body, 'path') ?? ''),
    rate,
    intervalSeconds,
    blockSeconds: durationField(body, 'block_interval') ?? 0,
    groupBy,
  }
}

const limitView = ({ name, path, rate, intervalSeconds, blockSeconds, groupBy }: RateLimit) => ({
  name,
  path,
  rate,
  interval: intervalSeconds,
  block_interval: blockSeconds,
  group_by: groupBy,
  inheritable: path === '',
  role: '',
  secondary_rate: 0,
  type: 'rate-limit',
})

const bare = (path: string): string => path.replace(/^\/*(?:v1\/)?\/*/, '')
const invalid = (words: string): AppError => new AppError('request.invalid', words)
