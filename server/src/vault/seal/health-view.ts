import { AppError } from '../../core/index.ts'
import type { VaultStatus } from './seal.ts'

type Query = Readonly<Record<string, string>>

/**
 * `sys/health`. Load balancers ask for the status codes that they understand; those of standbys and replicas are checked and
 * never needed, because there are none.
 */
export function healthCode({ initialised, sealed }: VaultStatus, query: Query): number {
  const codes = {
    active: codeOf(query, 'activecode', 200),
    sealed: codeOf(query, 'sealedcode', 503),
    uninitialised: codeOf(query, 'uninitcode', 501),
  }
  for (const name of ['standbycode', 'drsecondarycode', 'performancestandbycode', 'haunhealthycode'])
    codeOf(query, name, 200)
  for (const name of ['standbyok', 'perfstandbyok']) checkBoolean(query, name)
  if (!initialised) return codes.uninitialised
  return sealed ? codes.sealed : codes.active
}

function codeOf(query: Query, name: string, usual: number): number {
  const asked = query[name]
  if (asked === undefined) return usual
  const code = Number(asked)
  if (!/^\d{3}$/.test(asked) || code < 200 || code > 599)
    throw new AppError(
      'request.invalid',
      `bad value for ${name} parameter: a status code from 200 to 599 is wanted`,
    )
  return code
}

function checkBoolean(query: Query, name: string): void {
  const asked = query[name]
  if (asked !== undefined && !/^(?:1|0|t|f|true|false|)$/i.test(asked))
    throw new AppError('request.invalid', `bad value for ${name} parameter: true or false is wanted`)
}
